// SPDX-License-Identifier: Apache-2.0
// Every kernel at Llama-8B shapes: hidden 4096, 32 query and 8 KV heads of 128, feed-forward 14336, vocabulary 128256.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kernels/embedding/embedding.h"
#include "kernels/gemv/gemv.h"
#include "kernels/kv_block_copy/kv_block_copy.h"
#include "kernels/rms_norm/add_rms_norm.h"
#include "kernels/rope/rope_kv_write.h"
#include "kernels/sampling/sample.h"
#include "kernels/swiglu/swiglu.h"
#include "sweep.h"

namespace tokenworks::bench {
namespace {

using namespace kernels;

void SweepGemv(Bench& b) {
  struct Shape {
    const char* name;
    int outputs, inputs;
    bool swiglu;
  };
  const int k = b.small() ? 64 : 1;
  const LaunchContext context{b.stream().handle, true};
  for (const Shape s : {Shape{"qkv", 6144, 4096, false},
                        {"o", 4096, 4096, false},
                        {"gate+up", 14336, 4096, true},
                        {"down", 4096, 14336, false},
                        {"head", 128256, 4096, false}}) {
    const int outputs = s.outputs / k, inputs = s.inputs / k, weight_rows = outputs * (s.swiglu ? 2 : 1);
    const size_t weights = size_t(weight_rows) * inputs;
    const int copies = Copies(b, 2.0 * weights);
    const auto w = b.RandomBf16(weights * copies, 0.05f), x = b.RandomBf16(size_t(16) * inputs),
               y = b.Allocate<Bf16>(size_t(16) * weight_rows);
    const double bytes = 2.0 * weights;
    for (const int rows : {1, 2}) {
      const auto run = [&](int i) {
        Gemv(context, {.weight = w.data() + weights * (i % copies),
                       .x = x.data(),
                       .swiglu = s.swiglu,
                       .y = y.data(),
                       .rows = rows,
                       .outputs = outputs,
                       .inputs = inputs,
                       .multiprocessors = b.device().info().multiprocessors});
      };
      const double us = b.Median(20, 20, run);
      b.Report({.name = std::string("gemv ") + s.name,
                .size = Size(rows, outputs) + " x " + std::to_string(inputs),
                .microseconds = us,
                .bytes = bytes,
                .flops = 2.0 * rows * weights,
                .ok = b.Finite(y, size_t(rows) * outputs)});
    }
    for (const int rows : {1, 16}) {
      const auto args = [&](int i) {
        return device::GemmArgs{.x = x.data(),
                                .weight = w.data() + weights * (i % copies),
                                .y = y.data(),
                                .rows = rows,
                                .outputs = weight_rows,
                                .inputs = inputs};
      };
      b.Check(b.device().TuneGemm(args(0), 8, b.stream()));
      const double us = b.Median(20, 20, [&](int i) { b.Check(b.device().Gemm(args(i), b.stream())); });
      b.Report({.name = std::string("cublaslt ") + s.name,
                .size = Size(rows, weight_rows) + " x " + std::to_string(inputs),
                .microseconds = us,
                .bytes = bytes,
                .flops = 2.0 * rows * weights});
    }
  }
}

void SweepRows(Bench& b) {
  const LaunchContext context{b.stream().handle};
  const int hidden = 4096, ff = 14336;
  for (const int rows : {1, 16, 2048}) {
    if (b.small() && rows > 1) break;
    const auto wide = b.RandomBf16(size_t(rows) * 2 * ff, 1), narrow = b.RandomBf16(size_t(rows) * hidden),
               delta = b.RandomBf16(size_t(rows) * hidden), out = b.Allocate<Bf16>(size_t(rows) * ff);
    const auto gain = b.Upload(std::vector<float>(hidden, 1.0f));
    double us = b.Median(20, 20, [&](int) {
      AddRmsNorm(context, {.residual = narrow.data(),
                           .delta = delta.data(),
                           .gain = gain.data(),
                           .out = out.data(),
                           .rows = rows,
                           .width = hidden});
    });
    b.Report({.name = "add + rms norm", .size = Size(rows, hidden), .microseconds = us, .bytes = 8.0 * rows * hidden});
    us = b.Median(
        20, 20, [&](int) { SwiGlu(context, {.gate_up = wide.data(), .out = out.data(), .rows = rows, .width = ff}); });
    b.Report({.name = "swiglu",
              .size = Size(rows, ff),
              .microseconds = us,
              .bytes = 6.0 * rows * ff,
              .ok = b.Finite(out, out.size())});
    const auto tokens = b.Upload(std::vector<int32_t>(rows, 0));
    us = b.Median(20, 20, [&](int) {
      GatherEmbedding(context, {.table = narrow.data(),
                                .tokens = tokens.data(),
                                .out = out.data(),
                                .rows = rows,
                                .width = hidden,
                                .vocabulary = rows});
    });
    b.Report({.name = "embedding", .size = Size(rows, hidden), .microseconds = us, .bytes = 4.0 * rows * hidden});
    std::vector<double> frequency(kDim / 2);
    for (int i = 0; i < kDim / 2; ++i) frequency[i] = std::pow(500000.0, -2.0 * i / kDim);
    std::vector<int32_t> position(rows);
    std::iota(position.begin(), position.end(), 0);
    const auto d_frequency = b.Upload(frequency);
    const auto d_position = b.Upload(position), sequence = b.Upload(std::vector<int32_t>(rows, 0)),
               table = b.Upload(Shuffled(rows / 16 + 1));
    const auto pool = b.Allocate<Bf16>(size_t(rows / 16 + 1) * 2 * kKvHeads * 16 * kDim),
               query = b.Allocate<Bf16>(size_t(rows) * kHeads * kDim);
    us = b.Median(20, 20, [&](int) {
      RopeKvWrite(context, {.qkv = wide.data(),
                            .query = query.data(),
                            .kv = LayerOfPool(pool.data(), 0, 1, kKvHeads, kDim),
                            .tables = {table.data(), rows / 16 + 1},
                            .sequence = sequence.data(),
                            .position = d_position.data(),
                            .frequency = d_frequency.data(),
                            .rows = rows,
                            .query_heads = kHeads,
                            .kv_heads = kKvHeads,
                            .dim = kDim});
    });
    b.Report({.name = "rope + kv write",
              .size = Size(rows, 48 * kDim),
              .microseconds = us,
              .bytes = 4.0 * rows * 48 * kDim,
              .ok = b.Finite(query, query.size())});
  }
}

// Bytes are those of one pass over the logits, the floor of all; top-p, top-k 4000 and min-p here keep more than the
// sampler lists: three passes.
void SweepSampling(Bench& b) {
  const LaunchContext context{b.stream().handle};
  const int vocabulary = b.small() ? 4000 : 128256;
  std::mt19937 random(9);
  std::normal_distribution<float> normal(0, 2.5f);
  for (const int full : {1, 64}) {
    const int rows = b.small() ? 2 : full;
    std::vector<float> logits(size_t(rows) * vocabulary);
    for (float& x : logits) x = normal(random);
    const auto d_logits = b.Upload(logits);
    const auto logprob = b.Allocate<float>(rows), top_logprob = b.Allocate<float>(rows * kMaxTopTokens);
    const auto token = b.Allocate<int32_t>(rows), top_token = b.Allocate<int32_t>(rows * kMaxTopTokens);
    const auto scratch = b.Allocate<std::byte>(SampleScratchBytes(rows, vocabulary));
    struct Kind {
      const char* name;
      SamplingRow row;
    };
    for (const Kind kind : {Kind{"greedy", {.temperature = 0}},
                            {"plain", {}},
                            {"top-p 0.9", {.top_p = 0.9f}},
                            {"top-k 50, top-p 0.9", {.top_k = 50, .top_p = 0.9f}},
                            {"top-k 4000", {.top_k = 4000}},
                            {"min-p 0.001", {.min_p = 0.001f}},
                            {"greedy, 20 logprobs", {.temperature = 0, .logprobs = 20}}}) {
      const auto d_rows = b.Upload(std::vector<SamplingRow>(rows, kind.row));
      const double us = b.Median(8, 20, [&](int) {
        Sample(context, {.logits = d_logits.data(),
                         .row = d_rows.data(),
                         .token = token.data(),
                         .logprob = logprob.data(),
                         .top_token = top_token.data(),
                         .top_logprob = top_logprob.data(),
                         .scratch = scratch.data(),
                         .rows = rows,
                         .vocabulary = vocabulary,
                         .stride = vocabulary,
                         .any_wide = MayBeWide(kind.row)});
      });
      std::vector<int32_t> drawn(rows);
      b.Check(token.Download(drawn, b.stream()));
      const bool ok = std::all_of(drawn.begin(), drawn.end(), [&](int t) { return t >= 0 && t < vocabulary; });
      b.Report({.name = std::string("sample ") + kind.name,
                .size = Size(rows, vocabulary),
                .microseconds = us,
                .bytes = 4.0 * rows * vocabulary,
                .ok = ok});
    }
  }
}

void SweepCopies(Bench& b) {
  const LaunchContext context{b.stream().handle};
  const int blocks = b.small() ? 8 : 1024;
  const int64_t block_bytes = b.small() ? 4096 : 64 * 1024 * 4, run = block_bytes / 4;  // one layer group of four
  auto pool = b.RandomBf16(size_t(blocks) * block_bytes / 2), message = b.RandomBf16(size_t(blocks) * run / 2);
  const auto order = b.Upload(Shuffled(blocks));
  for (const int ctas : {8, 16, 132}) {
    const KvBlockCopyArgs a{.pool = reinterpret_cast<unsigned char*>(pool.data()),
                            .message = reinterpret_cast<unsigned char*>(message.data()),
                            .blocks = order.data(),
                            .count = blocks,
                            .block_bytes = block_bytes,
                            .offset_bytes = run,
                            .run_bytes = run,
                            .ctas = ctas};
    double us = b.Median(4, 20, [&](int) { PackKvBlocks(context, a); });
    b.Report({.name = "kv pack",
              .size = std::to_string(ctas) + " thread blocks",
              .microseconds = us,
              .bytes = 2.0 * blocks * run});
    us = b.Median(4, 20, [&](int) { UnpackKvBlocks(context, a); });
    b.Report({.name = "kv unpack",
              .size = std::to_string(ctas) + " thread blocks",
              .microseconds = us,
              .bytes = 2.0 * blocks * run});
  }
}

}  // namespace

void SweepKernels(Bench& b) {
  SweepGemv(b);
  SweepDecode(b);
  SweepPrefill(b);
  SweepRows(b);
  SweepSampling(b);
  SweepCopies(b);
}

}  // namespace tokenworks::bench
