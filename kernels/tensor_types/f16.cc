// SPDX-License-Identifier: Apache-2.0
#include "kernels/vector_math/f16.h"
#include "kernels/tensor_types/load16.h"
#include "kernels/tensor_types/tensor_type.h"

namespace tokenworks::kernels {
namespace {

void Dequantize(const std::byte* row, int columns, float* out) {
  for (int c = 0; c < columns; ++c) out[c] = F16ToF32(Load16(row + c * 2));
}

}  // namespace

const TensorType kF16Tensor{WeightType::kF16, "F16", 1, 2, WeightForm::kF32x8, Dequantize, nullptr};

}  // namespace tokenworks::kernels
