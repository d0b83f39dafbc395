// SPDX-License-Identifier: Apache-2.0
#include "tests/gguf/tiny_model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>

#include "kernels/vector_math/f16.h"

namespace tokenworks::gguf {
namespace {

using kernels::F32ToF16;

constexpr int kWidth = 64, kHidden = 128, kHeads = 4, kKvHeads = 2;

void Append16(std::string& out, float v) {
  const uint16_t h = F32ToF16(v);
  out.append(reinterpret_cast<const char*>(&h), 2);
}

// Values around +-scale in the type's own form; no type's arithmetic of the standard library's distributions.
std::string Values(uint32_t type, int columns, int rows, float scale, std::mt19937& random) {
  std::string out;
  const auto uniform = [&] { return static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f; };
  const int count = columns * rows;
  if (type == 0)
    for (int i = 0; i < count; ++i) out += Bytes().F32(1.0f + scale * uniform()).str();
  if (type == 1)
    for (int i = 0; i < count; ++i) Append16(out, scale * uniform());
  for (int b = 0; b < count / 32 && (type == 3 || type == 8); ++b) {
    Append16(out, type == 3 ? scale / 8 : scale / 127);
    if (type == 3) Append16(out, -scale);
    for (int i = 0; i < (type == 3 ? 16 : 32); ++i) out.push_back(static_cast<char>(random() >> 11));
  }
  return out;
}

}  // namespace

FileBuilder TinyModel(uint32_t seed, int head_dim) {
  std::mt19937 random(seed);
  FileBuilder f;
  f.String("general.architecture", "llama")
      .String("general.name", "tiny")
      .Unsigned("llama.block_count", 2)
      .Unsigned("llama.embedding_length", kWidth);
  f.Unsigned("llama.feed_forward_length", kHidden)
      .Unsigned("llama.context_length", kTinyContext)
      .Unsigned("llama.attention.head_count", kHeads);
  f.Unsigned("llama.attention.head_count_kv", kKvHeads)
      .Float("llama.attention.layer_norm_rms_epsilon", 1e-5f)
      .Float("llama.rope.freq_base", 10000.0f);
  f.Unsigned("tokenizer.ggml.eos_token_id", 2).Unsigned("llama.attention.key_length", head_dim);
  const auto matrix = [&](const std::string& name, uint32_t type, int columns, int rows, float scale) {
    f.Add({name,
           type,
           {static_cast<uint64_t>(columns), static_cast<uint64_t>(rows)},
           Values(type, columns, rows, scale, random)});
  };
  const auto norm = [&](const std::string& name) { f.Add({name, 0, {kWidth}, Values(0, kWidth, 1, 0.1f, random)}); };
  matrix("token_embd.weight", 8, kWidth, kTinyVocabulary, 0.5f);
  norm("output_norm.weight");
  for (int l = 0; l < 2; ++l) {
    const std::string p = "blk." + std::to_string(l) + ".";
    norm(p + "attn_norm.weight");
    norm(p + "ffn_norm.weight");
    matrix(p + "attn_q.weight", 3, kWidth, kHeads * head_dim, 0.3f);
    matrix(p + "attn_k.weight", 8, kWidth, kKvHeads * head_dim, 0.3f);
    matrix(p + "attn_v.weight", 1, kWidth, kKvHeads * head_dim, 0.3f);
    matrix(p + "attn_output.weight", 3, kHeads * head_dim, kWidth, 0.3f);
    matrix(p + "ffn_gate.weight", 3, kWidth, kHidden, 0.3f);
    matrix(p + "ffn_up.weight", 8, kWidth, kHidden, 0.3f);
    matrix(p + "ffn_down.weight", 3, kHidden, kWidth, 0.3f);
  }
  return f;
}

TemporaryFile::TemporaryFile(const std::string& content) {
  std::string name = testing::TempDir() + "/tokenworks-test-XXXXXX";
  const int fd = mkstemp(name.data());
  EXPECT_GE(fd, 0) << "making " << name << ": " << std::strerror(errno);
  if (fd >= 0) close(fd);
  path_ = name;
  std::ofstream(path_, std::ios::binary) << content;
}

TemporaryFile::~TemporaryFile() { unlink(path_.c_str()); }

}  // namespace tokenworks::gguf
