// SPDX-License-Identifier: Apache-2.0
// Draws the next token of each open sequence from a row of logits. Order and definitions: NUMERICS.md, "Sampling".
#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/kernel_set.h"
#include "tokenworks/executor.h"

namespace tokenworks::sampling {

// Thread: the engine thread. The same (logits, parameters, history) always give the same token.
class Sampler {
 public:
  Sampler(const kernels::KernelSet& kernels, std::vector<TokenId> end_tokens)
      : kernels_(kernels), end_tokens_(std::move(end_tokens)) {}

  void Open(const SequenceStart& start);
  void Close(SequenceId sequence);
  bool IsOpen(SequenceId sequence) const { return open_.contains(sequence); }

  // One token for an open sequence; it counts as output from then on. logits [vocabulary] are not changed.
  SampledToken Sample(SequenceId sequence, std::span<const float> logits);

 private:
  struct History {
    SamplingParams params;
    std::unordered_map<TokenId, int> output_counts;
    std::vector<TokenId> prompt_tokens;  // distinct ones, kept only for repetition_penalty
    uint32_t outputs = 0;
  };
  struct Candidate {
    float value;
    TokenId token;
  };

  bool ChangesLogits(const History& history) const;
  void ApplyPenalties(const History& history, std::span<float> x) const;
  TokenId Draw(const History& history, uint32_t sequence, std::span<float> x);
  void ReportLogprobs(const History& history, std::span<const float> logits, SampledToken& out);

  const kernels::KernelSet& kernels_;
  const std::vector<TokenId> end_tokens_;
  std::unordered_map<SequenceId, History> open_;
  std::vector<float> changed_, weights_;  // scratch [vocabulary]
  std::vector<Candidate> candidates_;
};

}  // namespace tokenworks::sampling
