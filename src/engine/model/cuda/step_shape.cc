// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/step_shape.h"

#include <algorithm>

#include "kernels/attention/decode_attention.h"
#include "kernels/sampling/sample.h"

namespace tokenworks::model::cuda {

int RowBucket(int rows) {
  if (rows > 2 * kRowQuantum) return (rows + kRowQuantum - 1) / kRowQuantum * kRowQuantum;
  int bucket = 1;
  while (bucket < rows) bucket *= 2;
  return bucket;
}

int BlockBucket(int blocks, int context_length) {
  const int most = (context_length + kBlockTokens - 1) / kBlockTokens;
  int bucket = 32;
  while (bucket < blocks) bucket *= 4;
  return std::min(bucket, std::max(most, blocks));
}

StepShape ShapeOf(const StepPlan& plan, int context_length) {
  StepShape s;
  int rows = 0, samples = 0, blocks = 1;
  s.each_samples = true;
  for (const StepItem& item : plan.items) {
    const int n = static_cast<int>(item.tokens.size());
    rows += n;
    samples += static_cast<int>(item.samples.size());
    blocks = std::max(blocks, (item.first_position + n + kBlockTokens - 1) / kBlockTokens);
    s.each_samples &= n == 1 && item.samples.size() == 1;
    if (n == 1) {
      ++s.decode_rows;
    } else {
      ++s.chunks;
      s.max_chunk_rows = std::max(s.max_chunk_rows, n);
    }
  }
  s.rows = RowBucket(rows);
  s.samples = samples == 0 ? 0 : RowBucket(samples);
  s.blocks = BlockBucket(blocks, context_length);
  if (s.chunks == 0) s.decode_rows = s.rows;
  return s;
}

InputOffsets::InputOffsets(const StepShape& s) : bytes(0) {
  const auto place = [this](size_t count, size_t size) {
    const size_t at = bytes;
    bytes = (bytes + count * size + 15) / 16 * 16;
    return at;
  };
  const size_t rows = s.rows, sequences = s.sequences();
  tokens = place(rows, 4), position = place(rows, 4), sequence = place(rows, 4), context = place(sequences, 4);
  first_row = place(s.chunks + 1, 4), blocks = place(sequences * s.blocks, 4), sample_row = place(s.samples, 4);
  sampling = place(s.samples, sizeof(kernels::SamplingRow));
}

int Splits(const StepShape& shape, const ModelConfig& config, int multiprocessors) {
  return kernels::DecodeSplits(shape.decode_rows, config.kv_heads, shape.blocks * kBlockTokens, multiprocessors);
}

uint64_t MaxPartialFloats(const ModelConfig& config, const StepLimits& limits, int multiprocessors) {
  uint64_t most = 0;
  for (int rows = 1; rows <= RowBucket(std::min(limits.rows, limits.samples)); ++rows)
    most = std::max<uint64_t>(
        most,
        uint64_t{1} * rows * kernels::DecodeSplits(rows, config.kv_heads, config.context_length, multiprocessors));
  return most * config.query_heads * (config.head_dim + 1);
}

uint64_t InputBytes(const ModelConfig& config, const StepLimits& limits) {
  StepShape largest;
  largest.rows = RowBucket(limits.rows);
  largest.decode_rows = RowBucket(limits.samples);
  largest.chunks = limits.samples;
  largest.samples = RowBucket(limits.samples);
  largest.blocks = (config.context_length + kBlockTokens - 1) / kBlockTokens;
  return InputOffsets(largest).bytes;
}

}  // namespace tokenworks::model::cuda
