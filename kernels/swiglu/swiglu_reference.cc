// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/swiglu/swiglu.h"

namespace tokenworks::kernels {

void SwiGluReference(const SwiGluArgs& a) {
  for (int64_t row = 0; row < a.rows; ++row)
    for (int64_t i = 0; i < a.width; ++i) {
      const double gate = ToFloat(a.gate_up[row * 2 * a.width + i]),
                   up = ToFloat(a.gate_up[(row * 2 + 1) * a.width + i]);
      a.out[row * a.width + i] = ToBf16(static_cast<float>(gate / (1 + std::exp(-gate)) * up));
    }
}

}  // namespace tokenworks::kernels
