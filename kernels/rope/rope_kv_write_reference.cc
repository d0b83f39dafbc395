// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <vector>

#include "kernels/rope/rope_kv_write.h"

namespace tokenworks::kernels {

void RopeKvWriteReference(const RopeKvWriteArgs& a) {
  const int heads = a.query_heads + 2 * a.kv_heads, half = a.dim / 2;
  std::vector<Bf16> turned(a.dim);
  for (int64_t row = 0; row < a.rows; ++row) {
    const int position = a.position[row];
    if (position < 0) continue;
    const int64_t sequence = a.sequence ? a.sequence[row] : row;
    const int64_t block = a.tables.blocks[sequence * a.tables.stride + position / kKvBlockTokens];
    for (int head = 0; head < heads; ++head) {
      const Bf16* x = a.qkv + (row * heads + head) * a.dim;
      const bool rotates = head < a.query_heads + a.kv_heads;
      for (int i = 0; i < half; ++i) {
        const int first = a.neighbours ? 2 * i : i, second = a.neighbours ? 2 * i + 1 : i + half;
        const double angle = position * a.frequency[i], c = rotates ? std::cos(angle) : 1,
                     s = rotates ? std::sin(angle) : 0;
        const double p = ToFloat(x[first]), q = ToFloat(x[second]);
        turned[first] = ToBf16(static_cast<float>(p * c - q * s));
        turned[second] = ToBf16(static_cast<float>(q * c + p * s));
      }
      Bf16* target = a.query + (row * a.query_heads + head) * a.dim;
      if (head >= a.query_heads) {
        const int plane = rotates ? 0 : 1, kv_head = head - a.query_heads - plane * a.kv_heads;
        target = a.kv.base + block * a.kv.block_stride + plane * a.kv.plane_stride + kv_head * a.kv.head_stride +
                 position % kKvBlockTokens * a.kv.token_stride;
      }
      for (int i = 0; i < a.dim; ++i) target[i] = turned[i];
    }
  }
}

}  // namespace tokenworks::kernels
