// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "kernels/attention/attention.h"
#include "kernels/simt/bf16.h"
#include "kernels/vector_math/f16.h"
#include "kv_transfer/agreement.h"

namespace tokenworks::kv_transfer {
namespace {

using testing::HasSubstr;

constexpr int kHeads = 3, kDim = 8, kLayers = 3;
const char kGpuOrder[] = "plane-head-token-dim";

KvLayout Layout(KvDtype type, const char* order) { return AttentionKvLayout(kLayers, kHeads, kDim, type, order); }
const KvLayout kCpu = Layout(KvDtype::kF16, kernels::kInnerOrder), kGpu = Layout(KvDtype::kBf16, kGpuOrder),
               kReference = Layout(KvDtype::kF32, kernels::kInnerOrder);

std::vector<std::byte> Convert(const KvLayout& from, const KvLayout& to, const std::vector<std::byte>& block) {
  std::vector<std::byte> out(to.block_bytes);
  ConvertLayers(from, to, 0, kLayers, block, out);
  return out;
}

// A block as the CPU's own kernel writes it, read back as the GPU's order says.
TEST(ConvertKv, EveryValueOfTheCpusBlockLiesWhereTheGpuReadsIt) {
  std::mt19937 random(7);
  std::vector<std::byte> cpu(kCpu.block_bytes);
  float k[kLayers][kBlockTokens][kHeads * kDim], v[kLayers][kBlockTokens][kHeads * kDim];
  const kernels::AttentionShape shape{2 * kHeads, kHeads, kDim, false};
  for (int l = 0; l < kLayers; ++l)
    for (int t = 0; t < kBlockTokens; ++t) {
      for (int i = 0; i < kHeads * kDim; ++i) {  // what f16 and bf16 both hold: 8 bits
        k[l][t][i] = static_cast<float>(static_cast<int>(random() % 255) - 127) / 16;
        v[l][t][i] = static_cast<float>(static_cast<int>(random() % 255) - 127) / 32;
      }
      kernels::WriteKv(shape, k[l][t], v[l][t], cpu.data() + kCpu.layers[l].offset, t);
    }
  const std::vector<std::byte> gpu = Convert(kCpu, kGpu, cpu);
  Bf16 value;
  for (int l = 0; l < kLayers; ++l)
    for (int plane = 0; plane < 2; ++plane)
      for (int h = 0; h < kHeads; ++h)
        for (int t = 0; t < kBlockTokens; ++t)
          for (int d = 0; d < kDim; ++d) {
            const size_t at = ((((static_cast<size_t>(l) * 2 + plane) * kHeads + h) * kBlockTokens + t) * kDim + d) * 2;
            std::memcpy(&value, &gpu[at], 2);
            ASSERT_EQ(ToFloat(value), (plane ? v : k)[l][t][h * kDim + d]) << l << plane << h << t << d;
          }
  EXPECT_EQ(Convert(kGpu, kCpu, gpu), cpu);
  EXPECT_EQ(Convert(kReference, kCpu, Convert(kCpu, kReference, cpu)), cpu);
}

TEST(ConvertKv, AGroupOfLayersIsTheSameAsTheWholeBlock) {
  std::vector<std::byte> gpu(kGpu.block_bytes);
  for (size_t i = 0; i < gpu.size(); ++i) gpu[i] = static_cast<std::byte>(i * 37 % 120);
  const std::vector<std::byte> whole = Convert(kGpu, kCpu, gpu);
  const uint64_t at = kGpu.layers[1].offset;
  std::vector<std::byte> part(kCpu.block_bytes - kCpu.layers[1].offset);
  ConvertLayers(kGpu, kCpu, 1, 2, std::span(gpu).subspan(at), part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<long>(kCpu.layers[1].offset)));
}

TEST(ConvertKv, WhatF16CannotHoldBecomesItsLargestValue) {
  std::vector<std::byte> gpu(kGpu.block_bytes);
  const float values[] = {1e6f, -1e30f, std::numeric_limits<float>::infinity(), std::nanf(""), 1e-20f};
  for (int i = 0; i < 5; ++i) {
    const Bf16 b = ToBf16(values[i]);
    std::memcpy(&gpu[2 * i], &b, 2);
  }
  const std::vector<std::byte> cpu = Convert(kGpu, kCpu, gpu);
  const auto at = [&](int d) {  // position 0 of head 0: K lies 16 positions a dimension
    uint16_t bits;
    std::memcpy(&bits, &cpu[static_cast<size_t>(d) * kBlockTokens * 2], 2);
    return kernels::F16ToF32(bits);
  };
  EXPECT_EQ(at(0), 65504);
  EXPECT_EQ(at(1), -65504);
  EXPECT_EQ(at(2), 65504);
  EXPECT_TRUE(std::isnan(at(3)));
  EXPECT_EQ(at(4), 0);
}

TEST(ConvertKv, RefusesWhatDoesNotFitTogether) {
  EXPECT_TRUE(CheckConvertible(kGpu, kCpu).ok());
  const std::pair<const char*, std::function<void(KvLayout&)>> breaks[] = {
      {"2 layers", [](KvLayout& l) { l.layers.pop_back(); }},
      {"has 5 heads", [](KvLayout& l) { l.layers[1].heads = 5; }},
      {"of 16 there", [](KvLayout& l) { l.layers[2].dim = 16; }},
      {"unknown order 'else'", [](KvLayout& l) { l.layers[0].inner_order = "else"; }},
      {"not plain K and V", [](KvLayout& l) { l.layers[0].planes = 1; }},
      {"does not follow", [](KvLayout& l) { l.layers[1].offset = 1 << 30; }},
      {"has 7 bytes", [](KvLayout& l) { l.layers[0].bytes = 7; }},
      {"not the sum", [](KvLayout& l) { l.block_bytes += 2; }}};
  for (const auto& [words, make_bad] : breaks) {
    KvLayout bad = kGpu;
    make_bad(bad);
    EXPECT_EQ(CheckConvertible(bad, kCpu).code(), StatusCode::kFailedPrecondition) << words;
    EXPECT_THAT(CheckConvertible(bad, kCpu).message(), HasSubstr(words));
  }
}

TEST(Agreement, AnotherLayoutIsAcceptedWhereItCanBeConverted) {
  const PeerHello own{"decode-0", 2, 0, "m", "digest", "cpu-1", kCpu, 1};
  PeerHello theirs{"prefill-0", 1, 2, "m", "digest", "cpu-1", kCpu, 1};
  EXPECT_TRUE(CheckAgreement(own, theirs).ok());
  theirs.numerics_id = "cpu-2";
  EXPECT_THAT(CheckAgreement(own, theirs).message(), HasSubstr("numerics id differs"));
  theirs.layout = kGpu;
  theirs.numerics_id = "cuda-1";
  EXPECT_TRUE(CheckAgreement(own, theirs).ok()) << "converted: exempt from equal tokens";
  theirs.layout.layers[0].dim = 16;
  EXPECT_THAT(CheckAgreement(own, theirs).message(), HasSubstr("cannot be converted: layer 0 has 3 heads of 16 there"));
  theirs.layout = kGpu;
  for (const int groups : {0, -1, kLayers + 1}) {
    theirs.group_layers = groups;
    EXPECT_THAT(CheckAgreement(own, theirs).message(), HasSubstr("layers of a push differs")) << groups;
  }
  theirs.group_layers = 2;
  theirs.weight_digest = "other";
  EXPECT_THAT(CheckAgreement(own, theirs).message(), HasSubstr("weight digest differs"));
}

}  // namespace
}  // namespace tokenworks::kv_transfer
