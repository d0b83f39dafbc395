// SPDX-License-Identifier: Apache-2.0
#include "kernels/matmul/packed_matrix.h"

#include <string>

namespace tokenworks::kernels {

size_t RowBytes(WeightType type, int columns) {
  const TensorType* t = FindTensorType(type);
  if (t == nullptr || columns % t->block_columns != 0) return 0;
  return static_cast<size_t>(columns / t->block_columns) * static_cast<size_t>(t->block_bytes);
}

void DequantizeRow(WeightType type, const std::byte* raw, int columns, float* out) {
  FindTensorType(type)->dequantize(raw, columns, out);
}

StatusOr<WeightForm> PackedMatrix::FormOf(WeightType type) {
  if (const TensorType* t = FindTensorType(type)) return t->form;
  return absl::InvalidArgumentError("no packed form for tensor type " + std::to_string(static_cast<uint32_t>(type)) +
                                    "; supported are " + TensorTypeNames());
}

size_t PackedMatrix::group_bytes() const {
  switch (form_) {
    case WeightForm::kI4x8:
      return sizeof(BlockI4x8) * static_cast<size_t>(blocks());
    case WeightForm::kI8x8:
      return sizeof(BlockI8x8) * static_cast<size_t>(blocks());
    case WeightForm::kF32x8:
      return sizeof(float) * kRowGroup * static_cast<size_t>(columns_);
  }
  return 0;
}

Status PackedMatrix::Append(WeightType type, int rows, std::span<const std::byte> raw) {
  TW_ASSIGN_OR_RETURN(const WeightForm form, FormOf(type));
  if (form != form_) return absl::InvalidArgumentError("packing a matrix: its parts have types of different forms");
  const size_t row_bytes = RowBytes(type, columns_);
  if (row_bytes == 0 || raw.size() != row_bytes * static_cast<size_t>(rows))
    return absl::InvalidArgumentError("packing a matrix: " + std::to_string(raw.size()) + " bytes for " +
                                      std::to_string(rows) + " rows of " + std::to_string(columns_) + " columns");
  if (rows_ % kRowGroup != 0)
    return absl::InvalidArgumentError("packing a matrix: rows after a partial group of eight");
  const size_t first_group = static_cast<size_t>(groups()),
               added_groups = static_cast<size_t>(rows + kRowGroup - 1) / kRowGroup;
  data_.resize((first_group + added_groups) * group_bytes());
  const TensorType& t = *FindTensorType(type);
  std::vector<float> values(t.pack == nullptr ? static_cast<size_t>(columns_) : 0);
  for (int r = 0; r < rows; ++r) {
    const std::byte* row = raw.data() + row_bytes * static_cast<size_t>(r);
    std::byte* group = data_.data() + (first_group + static_cast<size_t>(r / kRowGroup)) * group_bytes();
    const int lane = r % kRowGroup;
    if (t.pack != nullptr) {
      t.pack(row, blocks(), lane, group);
      continue;
    }
    t.dequantize(row, columns_, values.data());
    float* out = reinterpret_cast<float*>(group);
    for (int c = 0; c < columns_; ++c) out[c * kRowGroup + lane] = values[static_cast<size_t>(c)];
  }
  rows_ += rows;
  return OkStatus();
}

}  // namespace tokenworks::kernels
