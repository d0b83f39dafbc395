// SPDX-License-Identifier: Apache-2.0
// What the sampler is told, under vLLM's parameter names.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tokenworks/ids.h"

namespace tokenworks {

inline constexpr int kMaxTopLogprobs = 20;

// Order of application: penalties, logit_bias, min_tokens mask -> temperature -> top_k -> top_p -> min_p.
// Noise is keyed by (seed, sequence index, output position): NUMERICS.md.
struct SamplingParams {
  float temperature = 1.0f;  // 0 = greedy
  int top_k = 0;             // 0 = off
  float top_p = 1.0f;
  float min_p = 0.0f;
  float repetition_penalty = 1.0f;  // over prompt and output
  float frequency_penalty = 0.0f;   // over output
  float presence_penalty = 0.0f;    // over output
  std::vector<std::pair<TokenId, float>> logit_bias;
  uint64_t seed = 0;    // always set: the router draws one when the client gives none
  int logprobs = -1;    // -1 = none; 0..20 = the sampled token's and that many top ones, before any of the above
  int max_tokens = 16;  // per sequence, > 0; the router has clipped it to the context limit
  int min_tokens = 0;   // end tokens are masked before
  bool ignore_eos = false;
  std::vector<TokenId> stop_token_ids;  // end a sequence, like the model's own end tokens
};

}  // namespace tokenworks
