// SPDX-License-Identifier: Apache-2.0
// Draws one token a row from logits on the device, without sorting the vocabulary.
#pragma once

#include <cstddef>

#include "kernels/simt/bf16.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

inline constexpr int kMaxTopTokens = 20;
inline constexpr int kMaxListedTopK = 1024;

// How one row is sampled; fields as in tokenworks/sampling_params.h.
struct SamplingRow {
  float temperature = 1.0f;  // 0: the largest value
  int top_k = 0;
  float top_p = 1.0f, min_p = 0.0f;
  float repetition_penalty = 1.0f, frequency_penalty = 0.0f, presence_penalty = 0.0f;
  int logprobs = -1;  // -1: none; 0 .. 20
  uint64_t seed = 0;  // noise is keyed by (seed, sequence, position)
  uint32_t sequence = 0, position = 0;
  int first_edit = 0, edits = 0;
};

// A token whose logit is changed before sampling. A row's edits name each token once, by ascending token.
struct LogitEdit {
  int32_t token = 0;
  int32_t output_count = 0;  // in the output so far: frequency, presence and repetition penalty
  float bias = 0;            // added after the penalties; -inf forbids the token
  int32_t in_prompt = 0;     // repetition penalty
};

// Device pointers. Penalties and bias -> temperature -> top_k -> top_p (crossing token kept) -> min_p; ties go to the
// lower id; NaN is never drawn. The draw inverts the kept weights' sum by ascending id. A row's result depends on
// nothing but the row: not on its batch, nor on what scratch held before.
struct SampleArgs {
  float* logits = nullptr;           // [rows][stride], 16-byte aligned; edits are applied in place
  const SamplingRow* row = nullptr;  // [rows]
  const LogitEdit* edits = nullptr;  // all rows'
  float* edited = nullptr;           // scratch, one float an edit
  int32_t* token = nullptr;          // [rows]
  float* logprob = nullptr;          // [rows], of the raw logits; written where logprobs >= 0
  int32_t* top_token = nullptr;      // [rows][kMaxTopTokens], likewise, by falling logprob
  float* top_logprob = nullptr;      // [rows][kMaxTopTokens]
  std::byte* scratch = nullptr;      // SampleScratchBytes(rows, vocabulary), 16-byte aligned; one call at a time
  int rows = 0, vocabulary = 0;      // vocabulary at most 262,144
  int stride = 0;                    // a multiple of 4
  bool any_wide = true;              // false: MayBeWide(no row); saves launches
};

// Bytes of scratch for so many rows.
size_t SampleScratchBytes(int rows, int vocabulary);

// What the row keeps may be too many to list: then its logits are read up to three times, else once.
inline bool MayBeWide(const SamplingRow& row) {
  return row.temperature > 0 && (row.top_k <= 0 || row.top_k > kMaxListedTopK) &&
         (row.top_k > 0 || row.top_p < 1.0f || row.min_p > 0);
}

void Sample(const LaunchContext& context, const SampleArgs& args);

// The same on host memory by sorting, in double. `slack` [rows], if not null: how far the draw is from choosing a
// neighbour, as a share of the kept mass; tokens of rows with little slack may differ.
void SampleReference(const SampleArgs& args, double* slack);

}  // namespace tokenworks::kernels
