// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <vector>

#include "kernels/gemv/gemv.h"

namespace tokenworks::kernels {
namespace {

double Dot(const Bf16* w, const std::vector<float>& x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += double{ToFloat(w[i])} * x[i];
  return sum;
}

std::vector<float> Input(const GemvArgs& a, int64_t row) {
  std::vector<float> x(a.inputs);
  double squares = 0;
  for (int i = 0; i < a.inputs; ++i) {
    x[i] = ToFloat(a.x[row * a.inputs + i]);
    squares += double{x[i]} * x[i];
  }
  if (!a.gain) return x;
  const double scale = 1 / std::sqrt(squares / a.inputs + a.epsilon);
  for (int i = 0; i < a.inputs; ++i) x[i] = ToFloat(ToBf16(static_cast<float>(x[i] * scale * a.gain[i])));
  return x;
}

}  // namespace

void GemvReference(const GemvArgs& a) {
  for (int64_t row = 0; row < a.rows; ++row) {
    const std::vector<float> x = Input(a, row);
    for (int64_t o = 0; o < a.outputs; ++o) {
      double y = Dot(a.weight + o * a.inputs, x);
      if (a.swiglu) y = y / (1 + std::exp(-y)) * Dot(a.weight + (a.outputs + o) * a.inputs, x);
      const int64_t at = row * a.outputs + o;
      if (a.residual) y += ToFloat(a.residual[at]);
      if (a.y_float)
        a.y_float[at] = static_cast<float>(y);
      else
        a.y[at] = ToBf16(static_cast<float>(y));
    }
  }
}

}  // namespace tokenworks::kernels
