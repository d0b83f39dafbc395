// SPDX-License-Identifier: Apache-2.0
// The shape of one step on the device, rounded up to a few sizes so that graphs and tuned products can be kept.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "engine/model/cuda/memory_plan.h"
#include "engine/model/model_config.h"
#include "tokenworks/executor.h"

namespace tokenworks::model::cuda {

// Rows: decode rows first (one of each sequence), then chunks one after the other, then padding.
struct StepShape {
  int rows = 0;         // padded
  int decode_rows = 0;  // a step of decode rows alone is padded: decode_rows = rows
  int chunks = 0, max_chunk_rows = 0;
  int samples = 0;            // rows of the output head, padded
  int blocks = 0;             // entries of one block table, padded
  bool each_samples = false;  // decode rows alone, row r is sample r
  int sequences() const { return decode_rows + chunks; }
  auto operator<=>(const StepShape&) const = default;
};

// A product of 272 rows takes as long as one of 384 (measured on an H200).
inline constexpr int kRowQuantum = 128;
// 1, 2, 4, 8 .. 256, then multiples of the quantum.
int RowBucket(int rows);
// Blocks of contexts of 512, 2048, 8192 .. tokens.
int BlockBucket(int blocks, int context_length);
// Floats from one row of logits to the next.
inline uint64_t LogitsStride(int vocabulary) { return (static_cast<uint64_t>(vocabulary) + 3) / 4 * 4; }

StepShape ShapeOf(const StepPlan& plan, int context_length);

// Where each array lies in the step's input buffer, in bytes; everything is 16-byte aligned.
struct InputOffsets {
  explicit InputOffsets(const StepShape& shape);
  size_t tokens, position, sequence, context, first_row, blocks, sample_row, sampling, bytes;
};

// Parts that the context of a decode row is cut into.
int Splits(const StepShape& shape, const ModelConfig& config, int multiprocessors);
// Upper bounds over all shapes within the limits.
uint64_t MaxPartialFloats(const ModelConfig& config, const StepLimits& limits, int multiprocessors);
uint64_t InputBytes(const ModelConfig& config, const StepLimits& limits);

}  // namespace tokenworks::model::cuda
