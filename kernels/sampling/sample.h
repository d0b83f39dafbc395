// SPDX-License-Identifier: Apache-2.0
// Draws one token a row from logits on the device, without sorting the vocabulary.
#pragma once

#include "kernels/simt/bf16.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

inline constexpr int kMaxTopTokens = 20;

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

// A token whose logit is changed before sampling. A row's edits name each token once.
struct LogitEdit {
  int32_t token = 0;
  int32_t output_count = 0;  // in the output so far: frequency, presence and repetition penalty
  float bias = 0;            // added after the penalties; -inf forbids the token
  int32_t in_prompt = 0;     // repetition penalty
};

// Device pointers. Penalties and bias -> temperature -> top_k -> top_p (crossing token kept) -> min_p; ties go to the
// lower id; NaN is never drawn. The draw inverts the kept weights' sum by ascending id.
struct SampleArgs {
  float* logits = nullptr;           // [rows][stride], 16-byte aligned; edits are applied in place
  const SamplingRow* row = nullptr;  // [rows]
  const LogitEdit* edits = nullptr;  // all rows'
  float* edited = nullptr;           // scratch, one float an edit
  int32_t* token = nullptr;          // [rows]
  float* logprob = nullptr;          // [rows], of the raw logits; written where logprobs >= 0
  int32_t* top_token = nullptr;      // [rows][kMaxTopTokens], likewise, by falling logprob
  float* top_logprob = nullptr;      // [rows][kMaxTopTokens]
  int rows = 0, vocabulary = 0;      // vocabulary at most 262,144
  int stride = 0;                    // a multiple of 4
};

void Sample(const LaunchContext& context, const SampleArgs& args);

// The same on host memory by sorting, in double. `slack` [rows], if not null: how far the draw is from choosing a
// neighbour, as a share of the kept mass; tokens of rows with little slack may differ.
void SampleReference(const SampleArgs& args, double* slack);

}  // namespace tokenworks::kernels
