// SPDX-License-Identifier: Apache-2.0
#include "kernels/tensor_types/tensor_type.h"

namespace tokenworks::kernels {
namespace {

constexpr const TensorType* kTable[] = {&kF32Tensor,  &kF16Tensor,  &kBf16Tensor,
                                        &kQ8_0Tensor, &kQ4_0Tensor, &kQ4_1Tensor};

}  // namespace

const TensorType* FindTensorType(WeightType id) {
  for (const TensorType* type : kTable)
    if (type->id == id) return type;
  return nullptr;
}

std::string TensorTypeNames() {
  std::string names;
  for (const TensorType* type : kTable) names += (names.empty() ? "" : ", ") + std::string(type->name);
  return names;
}

}  // namespace tokenworks::kernels
