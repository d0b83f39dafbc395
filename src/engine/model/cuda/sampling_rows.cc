// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/sampling_rows.h"

#include <limits>

namespace tokenworks::model::cuda {

void SamplingRows::Open(const SequenceStart& start) {
  History h;
  h.params = start.sampling;
  for (const TokenId t : start.emitted) ++h.output_counts[t];
  h.outputs = static_cast<uint32_t>(start.emitted.size());
  if (start.sampling.repetition_penalty != 1.0f) h.prompt_tokens = start.prompt;
  h.opening = ++openings_;
  open_[start.sequence] = std::move(h);
}

bool SamplingRows::LooksAtOutput(SequenceId sequence) const {
  const SamplingParams& p = open_.at(sequence).params;
  return p.repetition_penalty != 1.0f || p.frequency_penalty != 0.0f || p.presence_penalty != 0.0f;
}

std::map<TokenId, kernels::LogitEdit> SamplingRows::EditsOf(const History& h) const {
  const SamplingParams& p = h.params;
  std::map<TokenId, kernels::LogitEdit> edits;
  const auto edit = [&](TokenId t) -> kernels::LogitEdit* {
    if (t < 0 || t >= vocabulary_) return nullptr;
    kernels::LogitEdit& e = edits[t];
    e.token = t;
    return &e;
  };
  for (const TokenId t : h.prompt_tokens)
    if (auto* e = edit(t)) e->in_prompt = 1;
  if (p.repetition_penalty != 1.0f || p.frequency_penalty != 0.0f || p.presence_penalty != 0.0f)
    for (const auto& [t, count] : h.output_counts)
      if (auto* e = edit(t)) e->output_count = count;
  for (const auto& [t, bias] : p.logit_bias)
    if (auto* e = edit(t)) e->bias += bias;
  if (static_cast<int>(h.outputs) < p.min_tokens)
    for (const auto* list : {&end_tokens_, &p.stop_token_ids})
      for (const TokenId t : *list)
        if (auto* e = edit(t)) e->bias = -std::numeric_limits<float>::infinity();
  return edits;
}

kernels::SamplingRow SamplingRows::Draw(SequenceId sequence, std::vector<kernels::LogitEdit>& edits) {
  History& h = open_.at(sequence);
  const SamplingParams& p = h.params;
  kernels::SamplingRow row{.temperature = p.temperature,
                           .top_k = p.top_k,
                           .top_p = p.top_p,
                           .min_p = p.min_p,
                           .repetition_penalty = p.repetition_penalty,
                           .frequency_penalty = p.frequency_penalty,
                           .presence_penalty = p.presence_penalty,
                           .logprobs = p.logprobs,
                           .seed = p.seed,
                           .sequence = sequence.index,
                           .position = h.outputs,
                           .first_edit = static_cast<int>(edits.size())};
  for (const auto& [token, e] : EditsOf(h)) edits.push_back(e);
  row.edits = static_cast<int>(edits.size()) - row.first_edit;
  ++h.outputs;
  return row;
}

void SamplingRows::Learn(SequenceId sequence, uint64_t opening, TokenId token) {
  const auto it = open_.find(sequence);
  if (it != open_.end() && it->second.opening == opening) ++it->second.output_counts[token];
}

}  // namespace tokenworks::model::cuda
