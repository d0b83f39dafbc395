// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/attention/decode_attention.h"

namespace tokenworks::kernels {

void DecodeAttentionReference(const DecodeAttentionArgs& a) {
  const int group = a.query_heads / a.kv_heads;
  for (int64_t row = 0; row < a.rows; ++row)
    for (int head = 0; head < a.query_heads; ++head) {
      const Bf16* q = a.query + (row * a.query_heads + head) * a.dim;
      const auto at = [&](int plane, int t) {
        const int64_t block = a.tables.blocks[row * a.tables.stride + t / kKvBlockTokens];
        return a.kv.base + block * a.kv.block_stride + plane * a.kv.plane_stride + head / group * a.kv.head_stride +
               t % kKvBlockTokens * a.kv.token_stride;
      };
      std::vector<double> score(a.context[row]), sum(a.dim);
      double highest = -std::numeric_limits<double>::infinity(), total = 0;
      for (int t = 0; t < a.context[row]; ++t) {
        for (int i = 0; i < a.dim; ++i) score[t] += double{ToFloat(q[i])} * ToFloat(at(0, t)[i]);
        highest = std::max(highest, score[t] *= a.scale);
      }
      for (int t = 0; t < a.context[row]; ++t) {
        const double p = std::exp(score[t] - highest);
        total += p;
        for (int i = 0; i < a.dim; ++i) sum[i] += p * ToFloat(at(1, t)[i]);
      }
      for (int i = 0; i < a.dim; ++i)
        a.out[(row * a.query_heads + head) * a.dim + i] = ToBf16(static_cast<float>(total > 0 ? sum[i] / total : 0));
    }
}

}  // namespace tokenworks::kernels
