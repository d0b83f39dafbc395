// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention.h"

#include <cstring>

#include "kernels/vector_math/f16.h"

namespace tokenworks::kernels {

size_t AttentionScratch(const AttentionShape& shape) {
  const size_t pairs = 12;  // of row and query head that a body takes at once, at most
  return pairs * (kSegment + 3 * static_cast<size_t>(shape.dim));
}

void WriteKv(const AttentionShape& shape, const float* k, const float* v, std::byte* block, int position) {
  std::byte* v_plane = block + shape.k_bytes();
  for (int h = 0; h < shape.kv_heads; ++h) {
    for (int d = 0; d < shape.dim; ++d) {
      const size_t k_at = (static_cast<size_t>(h) * shape.dim + d) * kBlockTokens + position;
      const size_t v_at = (static_cast<size_t>(h) * kBlockTokens + position) * shape.dim + d;
      const float kx = k[h * shape.dim + d], vx = v[h * shape.dim + d];
      if (shape.f32) {
        std::memcpy(block + k_at * 4, &kx, 4);
        std::memcpy(v_plane + v_at * 4, &vx, 4);
      } else {
        const uint16_t kh = F32ToF16(kx), vh = F32ToF16(vx);
        std::memcpy(block + k_at * 2, &kh, 2);
        std::memcpy(v_plane + v_at * 2, &vh, 2);
      }
    }
  }
}

}  // namespace tokenworks::kernels
