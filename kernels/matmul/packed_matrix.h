// SPDX-License-Identifier: Apache-2.0
// Weights repacked once at load: eight rows interleaved, so that one vector holds the same columns of eight rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/tensor_types/tensor_type.h"
#include "tokenworks/status.h"

namespace tokenworks::kernels {

inline constexpr int kRowGroup = 8;

// 32 columns of eight rows. Nibble p of byte vector v (32 bytes: row r's four columns at 4r): low nibble = columns
// 4v .. 4v+3, high nibble = columns 4v+16 .. 4v+19, v = 0 .. 3.
struct BlockI4x8 {
  uint8_t nibbles[128];
  uint16_t d[8];
  uint16_t m[8];
};
static_assert(sizeof(BlockI4x8) == 160);

// Byte vector v (32 bytes): row r's columns 4v .. 4v+3 at 4r, v = 0 .. 7.
struct BlockI8x8 {
  int8_t q[256];
  uint16_t d[8];
};
static_assert(sizeof(BlockI8x8) == 272);

// rows x columns; rows are padded to a multiple of eight with zeros. Immutable after Append.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // `columns` a multiple of 32 for the quantised forms.
  PackedMatrix(WeightForm form, int columns) : form_(form), columns_(columns) {}

  static StatusOr<WeightForm> FormOf(WeightType type);

  // Adds `rows` rows (a multiple of eight unless it is the last call) of raw GGUF data of `type`.
  // InvalidArgument: another form, a wrong byte count, rows after a padded group.
  Status Append(WeightType type, int rows, std::span<const std::byte> raw);

  WeightForm form() const { return form_; }
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  int groups() const { return (rows_ + kRowGroup - 1) / kRowGroup; }
  int blocks() const { return columns_ / 32; }
  size_t bytes() const { return data_.size(); }
  size_t group_bytes() const;

  const BlockI4x8* i4x8(int group) const {
    return reinterpret_cast<const BlockI4x8*>(data_.data()) + static_cast<size_t>(group) * blocks();
  }
  const BlockI8x8* i8x8(int group) const {
    return reinterpret_cast<const BlockI8x8*>(data_.data()) + static_cast<size_t>(group) * blocks();
  }
  // [columns][8]
  const float* f32x8(int group) const {
    return reinterpret_cast<const float*>(data_.data()) + static_cast<size_t>(group) * columns_ * kRowGroup;
  }

 private:
  WeightForm form_ = WeightForm::kF32x8;
  int columns_ = 0, rows_ = 0;
  std::vector<std::byte> data_;
};

// Bytes of one row of `columns` values in GGUF form; 0 for an unknown type or when columns are not whole blocks.
size_t RowBytes(WeightType type, int columns);
// One row of GGUF data of a known type to floats (embedding lookups, the reference path). raw has RowBytes bytes.
void DequantizeRow(WeightType type, const std::byte* raw, int columns, float* out);

}  // namespace tokenworks::kernels
