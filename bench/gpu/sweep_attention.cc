// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/decode_attention.h"
#include "kernels/attention/prefill_attention.h"
#include "sweep.h"

namespace tokenworks::bench {

using namespace kernels;

void SweepDecode(Bench& b) {
  struct Shape {
    int rows, context;
  };
  const LaunchContext context{b.stream().handle};
  for (const Shape s : {Shape{1, 2048}, {16, 2048}, {32, 2048}, {32, 4096}, {64, 2048}, {64, 4096}, {1, 65536}}) {
    const int tokens = b.small() ? 40 : s.context, rows = b.small() ? 2 : s.rows, stride = (tokens + 15) / 16;
    const double bytes = double(rows) * tokens * 2 * kKvHeads * kDim * 2;
    const int layers = Copies(b, bytes);  // of one pool: KV of another layer each time
    const auto pool = b.RandomBf16(size_t(rows) * stride * layers * 2 * kKvHeads * 16 * kDim),
               q = b.RandomBf16(size_t(rows) * kHeads * kDim), out = b.Allocate<Bf16>(q.size());
    const auto table = b.Upload(Shuffled(rows * stride));
    const auto lengths = b.Upload(std::vector<int32_t>(rows, tokens));
    DecodeAttentionArgs a{.query = q.data(),
                          .tables = {table.data(), stride},
                          .context = lengths.data(),
                          .out = out.data(),
                          .rows = rows,
                          .query_heads = kHeads,
                          .kv_heads = kKvHeads,
                          .dim = kDim,
                          .splits = DecodeSplits(rows, kKvHeads, tokens, b.device().info().multiprocessors),
                          .scale = 0.0884f};
    const int chosen = a.splits;
    const auto partial = b.Allocate<float>(size_t(rows) * kHeads * kMaxDecodeSplits * (kDim + 1));
    a.partial = partial.data();
    std::vector<int> splits = {chosen};
    if (rows >= 16 && !b.small()) splits = {chosen, 2 * chosen, 4 * chosen};
    for (const int n : splits) {
      a.splits = n;
      const double us = b.Median(std::max(layers, 8), 20, [&](int i) {
        a.kv = LayerOfPool(pool.data(), i % layers, layers, kKvHeads, kDim);
        DecodeAttention(context, a);
      });
      b.Report({.name = "decode attention, splits " + std::to_string(n),
                .size = Size(rows, tokens),
                .microseconds = us,
                .bytes = bytes,
                .ok = b.Finite(out, out.size())});
    }
  }
}

void SweepPrefill(Bench& b) {
  const LaunchContext context{b.stream().handle};
  for (const int full : {512, 2048, 4096, 8192}) {
    const int rows = b.small() ? 40 : full, stride = (rows + 15) / 16;
    const auto pool = b.RandomBf16(size_t(stride) * 2 * kKvHeads * 16 * kDim),
               q = b.RandomBf16(size_t(rows) * kHeads * kDim), out = b.Allocate<Bf16>(q.size());
    const auto table = b.Upload(Shuffled(stride));
    const auto first_row = b.Upload(std::vector<int32_t>{0, rows}), length = b.Upload(std::vector<int32_t>{rows});
    const PrefillAttentionArgs a{.query = q.data(),
                                 .kv = LayerOfPool(pool.data(), 0, 1, kKvHeads, kDim),
                                 .tables = {table.data(), stride},
                                 .first_row = first_row.data(),
                                 .context = length.data(),
                                 .out = out.data(),
                                 .sequences = 1,
                                 .max_rows = rows,
                                 .query_heads = kHeads,
                                 .kv_heads = kKvHeads,
                                 .dim = kDim,
                                 .scale = 0.0884f};
    const double us = b.Median(4, 20, [&](int) { PrefillAttention(context, a); });
    b.Report({.name = "prefill attention, causal",
              .size = std::to_string(rows) + " rows",
              .microseconds = us,
              .flops = 2.0 * kHeads * kDim * double(rows) * (rows + 1),
              .ok = b.Finite(out, out.size())});
  }
}

}  // namespace tokenworks::bench
