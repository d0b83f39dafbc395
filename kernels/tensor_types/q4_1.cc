// SPDX-License-Identifier: Apache-2.0
// Q4_1: blocks of 32: f16 scale d, f16 minimum m, 16 bytes of nibbles; value d * nibble + m.
#include "kernels/tensor_types/load16.h"
#include "kernels/tensor_types/nibbles.h"
#include "kernels/vector_math/f16.h"

namespace tokenworks::kernels {
namespace {

constexpr int kBytes = 20;

void Dequantize(const std::byte* row, int columns, float* out) {
  for (int b = 0; b < columns / 32; ++b, row += kBytes)
    DequantizeNibbles(row + 4, F16ToF32(Load16(row)), F16ToF32(Load16(row + 2)), out + b * 32);
}

void Pack(const std::byte* row, int blocks, int r, void* group) {
  BlockI4x8* out = static_cast<BlockI4x8*>(group);
  for (int b = 0; b < blocks; ++b, row += kBytes) {
    out[b].d[r] = Load16(row);
    out[b].m[r] = Load16(row + 2);
    PackNibbles(row + 4, r, &out[b]);
  }
}

}  // namespace

const TensorType kQ4_1Tensor{WeightType::kQ4_1, "Q4_1", 32, kBytes, WeightForm::kI4x8, Dequantize, Pack};

}  // namespace tokenworks::kernels
