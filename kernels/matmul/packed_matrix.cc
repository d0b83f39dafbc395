// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul/packed_matrix.h"

#include <cstring>
#include <string>

#include "kernels/vector_math/f16.h"

namespace tokenworks::kernels {
namespace {

uint16_t Load16(const std::byte* p) {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return v;
}

// Negation and doubling of an f16 are exact; -8 d is d times -8 as long as it does not overflow.
uint16_t TimesMinus8(uint16_t d) { return F32ToF16(F16ToF32(d) * -8.0f); }

void PackI4(WeightType type, const std::byte* row, int r, int blocks, BlockI4x8* out) {
  const int header = type == WeightType::kQ4_1 ? 4 : 2;
  const int block_bytes = header + 16;
  for (int b = 0; b < blocks; ++b) {
    const std::byte* p = row + static_cast<size_t>(b) * block_bytes;
    out[b].d[r] = Load16(p);
    out[b].m[r] = type == WeightType::kQ4_1 ? Load16(p + 2) : TimesMinus8(Load16(p));
    // GGUF: byte j holds column j (low) and column j + 16 (high).
    for (int v = 0; v < 4; ++v)
      for (int c = 0; c < 4; ++c) out[b].nibbles[v * 32 + r * 4 + c] = static_cast<uint8_t>(p[header + v * 4 + c]);
  }
}

void PackI8(const std::byte* row, int r, int blocks, BlockI8x8* out) {
  for (int b = 0; b < blocks; ++b) {
    const std::byte* p = row + static_cast<size_t>(b) * 34;
    out[b].d[r] = Load16(p);
    for (int v = 0; v < 8; ++v) std::memcpy(&out[b].q[v * 32 + r * 4], p + 2 + v * 4, 4);
  }
}

}  // namespace

size_t RowBytes(WeightType type, int columns) {
  const size_t n = static_cast<size_t>(columns);
  switch (type) {
    case WeightType::kF32: return n * 4;
    case WeightType::kF16:
    case WeightType::kBF16: return n * 2;
    case WeightType::kQ4_0: return n % 32 ? 0 : n / 32 * 18;
    case WeightType::kQ4_1: return n % 32 ? 0 : n / 32 * 20;
    case WeightType::kQ8_0: return n % 32 ? 0 : n / 32 * 34;
  }
  return 0;
}

void DequantizeRow(WeightType type, const std::byte* raw, int columns, float* out) {
  switch (type) {
    case WeightType::kF32: std::memcpy(out, raw, static_cast<size_t>(columns) * 4); return;
    case WeightType::kF16:
      for (int c = 0; c < columns; ++c) out[c] = F16ToF32(Load16(raw + c * 2));
      return;
    case WeightType::kBF16:
      for (int c = 0; c < columns; ++c) out[c] = Bf16ToF32(Load16(raw + c * 2));
      return;
    case WeightType::kQ8_0:
      for (int b = 0; b < columns / 32; ++b, raw += 34) {
        const float d = F16ToF32(Load16(raw));
        for (int j = 0; j < 32; ++j) out[b * 32 + j] = d * static_cast<float>(static_cast<int8_t>(raw[2 + j]));
      }
      return;
    case WeightType::kQ4_0:
    case WeightType::kQ4_1: {
      const bool has_minimum = type == WeightType::kQ4_1;
      for (int b = 0; b < columns / 32; ++b) {
        const float d = F16ToF32(Load16(raw)), m = has_minimum ? F16ToF32(Load16(raw + 2)) : -8.0f * d;
        const std::byte* q = raw + (has_minimum ? 4 : 2);
        for (int j = 0; j < 16; ++j) {
          out[b * 32 + j] = d * static_cast<float>(static_cast<uint8_t>(q[j]) & 15) + m;
          out[b * 32 + j + 16] = d * static_cast<float>(static_cast<uint8_t>(q[j]) >> 4) + m;
        }
        raw += has_minimum ? 20 : 18;
      }
      return;
    }
  }
}

StatusOr<WeightForm> PackedMatrix::FormOf(WeightType type) {
  switch (type) {
    case WeightType::kQ4_0:
    case WeightType::kQ4_1: return WeightForm::kI4x8;
    case WeightType::kQ8_0: return WeightForm::kI8x8;
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBF16: return WeightForm::kF32x8;
  }
  return absl::InvalidArgumentError("no packed form for tensor type " + std::to_string(static_cast<uint32_t>(type)));
}

Status PackedMatrix::Append(WeightType type, int rows, std::span<const std::byte> raw) {
  TW_ASSIGN_OR_RETURN(const WeightForm form, FormOf(type));
  if (form != form_) return absl::InvalidArgumentError("packing a matrix: its parts have types of different forms");
  const size_t row_bytes = RowBytes(type, columns_);
  if (row_bytes == 0 || raw.size() != row_bytes * rows)
    return absl::InvalidArgumentError("packing a matrix: " + std::to_string(raw.size()) + " bytes for " + std::to_string(rows) + " rows of " +
                                      std::to_string(columns_) + " columns");
  if (rows_ % kRowGroup != 0) return absl::InvalidArgumentError("packing a matrix: rows after a partial group of eight");
  const int first_group = rows_ / kRowGroup, added_groups = (rows + kRowGroup - 1) / kRowGroup;
  const size_t group_bytes = form_ == WeightForm::kI4x8   ? sizeof(BlockI4x8) * blocks()
                             : form_ == WeightForm::kI8x8 ? sizeof(BlockI8x8) * blocks()
                                                          : sizeof(float) * kRowGroup * columns_;
  data_.resize((first_group + added_groups) * group_bytes);
  for (int r = 0; r < rows; ++r) {
    const std::byte* row = raw.data() + row_bytes * r;
    std::byte* group = data_.data() + (first_group + r / kRowGroup) * group_bytes;
    if (form_ == WeightForm::kI4x8) {
      PackI4(type, row, r % kRowGroup, blocks(), reinterpret_cast<BlockI4x8*>(group));
    } else if (form_ == WeightForm::kI8x8) {
      PackI8(row, r % kRowGroup, blocks(), reinterpret_cast<BlockI8x8*>(group));
    } else {
      std::vector<float> values(columns_);
      DequantizeRow(type, row, columns_, values.data());
      float* out = reinterpret_cast<float*>(group);
      for (int c = 0; c < columns_; ++c) out[c * kRowGroup + r % kRowGroup] = values[c];
    }
  }
  rows_ += rows;
  return OkStatus();
}

}  // namespace tokenworks::kernels
