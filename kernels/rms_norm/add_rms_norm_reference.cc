// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/rms_norm/add_rms_norm.h"

namespace tokenworks::kernels {

void AddRmsNormReference(const AddRmsNormArgs& a) {
  for (int64_t row = 0; row < a.rows; ++row) {
    Bf16* residual = a.residual + row * a.width;
    double sum = 0;
    for (int i = 0; i < a.width; ++i) {
      if (a.delta) residual[i] = ToBf16(ToFloat(residual[i]) + ToFloat(a.delta[row * a.width + i]));
      sum += double{ToFloat(residual[i])} * ToFloat(residual[i]);
    }
    const double scale = 1.0 / std::sqrt(sum / a.width + a.epsilon);
    for (int i = 0; i < a.width; ++i)
      a.out[row * a.width + i] = ToBf16(static_cast<float>(ToFloat(residual[i]) * scale * a.gain[i]));
  }
}

}  // namespace tokenworks::kernels
