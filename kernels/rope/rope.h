// SPDX-License-Identifier: Apache-2.0
// Rotary embedding in place. Static: each body has its own copy, compiled for its own instruction set; same bits.
#pragma once

#include <cmath>

namespace tokenworks::kernels {

// x [heads][dim]; cosine and sine [dim/2] of the row's position. Rotates (2i, 2i+1) or (i, i + dim/2).
static inline void Rope(float* x, int heads, int dim, const float* cosine, const float* sine, bool neighbours) {
  for (int h = 0; h < heads; ++h, x += dim)
    for (int i = 0; i < dim / 2; ++i) {
      float& a = neighbours ? x[2 * i] : x[i];
      float& b = neighbours ? x[2 * i + 1] : x[i + dim / 2];
      const float a0 = a, b0 = b;
      a = std::fma(a0, cosine[i], -(b0 * sine[i]));
      b = std::fma(a0, sine[i], b0 * cosine[i]);
    }
}

}  // namespace tokenworks::kernels
