// SPDX-License-Identifier: Apache-2.0
// What Q4_0 and Q4_1 share: 16 bytes of nibbles a block of 32; byte j holds column j (low) and column j + 16 (high).
#pragma once

#include "kernels/matmul/packed_matrix.h"

namespace tokenworks::kernels {

// out[0 .. 31] = d * nibble + m
inline void DequantizeNibbles(const std::byte* nibbles, float d, float m, float* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(static_cast<uint8_t>(nibbles[j]) & 15) + m;
    out[j + 16] = d * static_cast<float>(static_cast<uint8_t>(nibbles[j]) >> 4) + m;
  }
}

inline void PackNibbles(const std::byte* nibbles, int r, BlockI4x8* out) {
  for (int v = 0; v < 4; ++v)
    for (int c = 0; c < 4; ++c) out->nibbles[v * 32 + r * 4 + c] = static_cast<uint8_t>(nibbles[v * 4 + c]);
}

}  // namespace tokenworks::kernels
