// SPDX-License-Identifier: Apache-2.0
// Q8_0: blocks of 32: f16 scale d, then 32 int8; value d * q.
#include "kernels/matmul/packed_matrix.h"
#include "kernels/tensor_types/load16.h"
#include "kernels/vector_math/f16.h"

namespace tokenworks::kernels {
namespace {

constexpr int kBytes = 34;

void Dequantize(const std::byte* row, int columns, float* out) {
  for (int b = 0; b < columns / 32; ++b, row += kBytes) {
    const float d = F16ToF32(Load16(row));
    for (int j = 0; j < 32; ++j) out[b * 32 + j] = d * static_cast<float>(static_cast<int8_t>(row[2 + j]));
  }
}

void Pack(const std::byte* row, int blocks, int r, void* group) {
  BlockI8x8* out = static_cast<BlockI8x8*>(group);
  for (int b = 0; b < blocks; ++b, row += kBytes) {
    out[b].d[r] = Load16(row);
    for (int v = 0; v < 8; ++v) std::memcpy(&out[b].q[v * 32 + r * 4], row + 2 + v * 4, 4);
  }
}

}  // namespace

const TensorType kQ8_0Tensor{WeightType::kQ8_0, "Q8_0", 32, kBytes, WeightForm::kI8x8, Dequantize, Pack};

}  // namespace tokenworks::kernels
