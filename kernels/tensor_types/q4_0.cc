// SPDX-License-Identifier: Apache-2.0
// Q4_0: blocks of 32: f16 scale d, 16 bytes of nibbles; value d * (nibble - 8), computed as d * nibble + (-8 d).
#include "kernels/tensor_types/load16.h"
#include "kernels/tensor_types/nibbles.h"
#include "kernels/vector_math/f16.h"

namespace tokenworks::kernels {
namespace {

constexpr int kBytes = 18;

void Dequantize(const std::byte* row, int columns, float* out) {
  for (int b = 0; b < columns / 32; ++b, row += kBytes) {
    const float d = F16ToF32(Load16(row));
    DequantizeNibbles(row + 2, d, -8.0f * d, out + b * 32);
  }
}

void Pack(const std::byte* row, int blocks, int r, void* group) {
  BlockI4x8* out = static_cast<BlockI4x8*>(group);
  for (int b = 0; b < blocks; ++b, row += kBytes) {
    const uint16_t d = Load16(row);
    out[b].d[r] = d;
    out[b].m[r] = F32ToF16(F16ToF32(d) * -8.0f);  // exact unless it overflows
    PackNibbles(row + 2, r, &out[b]);
  }
}

}  // namespace

const TensorType kQ4_0Tensor{WeightType::kQ4_0, "Q4_0", 32, kBytes, WeightForm::kI4x8, Dequantize, Pack};

}  // namespace tokenworks::kernels
