// SPDX-License-Identifier: Apache-2.0
// What the device's sampler is told of each open sequence: one row of parameters a sample, and the logits to edit.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "kernels/sampling/sample.h"
#include "tokenworks/executor.h"

namespace tokenworks::model::cuda {

// A plain table. A token counts as output from Draw on; which one it was is told later by Learn.
class SamplingRows {
 public:
  SamplingRows(int vocabulary, std::vector<TokenId> end_tokens)
      : vocabulary_(vocabulary), end_tokens_(std::move(end_tokens)) {}

  void Open(const SequenceStart& start);
  void Close(SequenceId sequence) { open_.erase(sequence); }
  bool IsOpen(SequenceId sequence) const { return open_.contains(sequence); }

  // Penalties look at the output: the next row of this sequence needs every earlier token.
  bool LooksAtOutput(SequenceId sequence) const;
  // The row of the sequence's next sample; its edits are appended to `edits`.
  kernels::SamplingRow Draw(SequenceId sequence, std::vector<kernels::LogitEdit>& edits);
  // `opening` tells a sequence from an earlier one of the same id.
  uint64_t opening(SequenceId sequence) const { return open_.at(sequence).opening; }
  void Learn(SequenceId sequence, uint64_t opening, TokenId token);

 private:
  struct History {
    SamplingParams params;
    std::unordered_map<TokenId, int> output_counts;
    std::vector<TokenId> prompt_tokens;  // kept only for repetition_penalty
    uint32_t outputs = 0;
    uint64_t opening = 0;
  };
  // By token: every token is named once.
  std::map<TokenId, kernels::LogitEdit> EditsOf(const History& history) const;

  const int vocabulary_;
  const std::vector<TokenId> end_tokens_;
  std::unordered_map<SequenceId, History> open_;
  uint64_t openings_ = 0;
};

}  // namespace tokenworks::model::cuda
