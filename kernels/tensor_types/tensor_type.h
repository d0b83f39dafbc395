// SPDX-License-Identifier: Apache-2.0
// The tensor types of model files: geometry, values and packed form of each. One file a type; table.cc lists them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tokenworks::kernels {

// How a matrix lies in memory once it is loaded: matmul/packed_matrix.h.
enum class WeightForm : uint8_t {
  kI4x8,   // unsigned nibbles + f16 scale + f16 minimum
  kI8x8,   // int8 + f16 scale
  kF32x8,  // float columns of eight rows
};

// As GGUF numbers them.
enum class WeightType : uint32_t { kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ8_0 = 8, kBF16 = 30 };

struct TensorType {
  WeightType id;
  const char* name;   // as GGUF spells it
  int block_columns;  // a row is whole blocks
  int block_bytes;
  WeightForm form;
  // One row of `columns` values to floats, exactly as the format defines them.
  void (*dequantize)(const std::byte* row, int columns, float* out);
  // One row into row r (0 .. 7) of a group of packed blocks; null for kF32x8, which is packed from the floats.
  void (*pack)(const std::byte* row, int blocks, int r, void* group);
};

// Null for a type that is not built.
const TensorType* FindTensorType(WeightType id);
// "F32, F16, …" for error sentences.
std::string TensorTypeNames();

extern const TensorType kF32Tensor, kF16Tensor, kBf16Tensor, kQ8_0Tensor, kQ4_0Tensor, kQ4_1Tensor;

}  // namespace tokenworks::kernels
