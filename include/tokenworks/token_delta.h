// SPDX-License-Identifier: Apache-2.0
// What flows back: tokens of one sequence in order.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenworks/ids.h"

namespace tokenworks {

struct TopLogprob {
  TokenId token = 0;
  float logprob = 0;
  bool operator==(const TopLogprob&) const = default;
};

struct SampledToken {
  TokenId token = 0;
  float logprob = 0;            // natural log, before penalties and temperature; set when asked for
  std::vector<TopLogprob> top;  // descending, ties by lower id; as many as SamplingParams::logprobs
  bool operator==(const SampledToken&) const = default;
};

enum class FinishReason : uint8_t { kNone, kStop, kLength, kCancelled, kError };

constexpr std::string_view FinishReasonName(FinishReason r) {
  switch (r) {
    case FinishReason::kNone:
      return "";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
  }
  return "";
}

// Tokens `position .. position + tokens.size()` (output positions, 0 = first generated) of one sequence.
// With finish != kNone it is the sequence's last delta. An end token (eos, stop_token_ids) is included
// as the last token with kStop; the front end leaves it out of the text.
struct TokenDelta {
  RequestId request;
  Epoch epoch = 0;
  uint32_t sequence = 0;
  uint32_t position = 0;
  std::vector<SampledToken> tokens;
  FinishReason finish = FinishReason::kNone;
};

}  // namespace tokenworks
