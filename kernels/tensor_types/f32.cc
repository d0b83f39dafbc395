// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "kernels/tensor_types/tensor_type.h"

namespace tokenworks::kernels {
namespace {

void Dequantize(const std::byte* row, int columns, float* out) {
  std::memcpy(out, row, sizeof(float) * static_cast<size_t>(columns));
}

}  // namespace

const TensorType kF32Tensor{WeightType::kF32, "F32", 1, 4, WeightForm::kF32x8, Dequantize, nullptr};

}  // namespace tokenworks::kernels
