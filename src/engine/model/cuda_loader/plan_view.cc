// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda_loader/plan_view.h"

namespace tokenworks::model {
namespace {

TwInts ViewOf(const std::vector<int32_t>& list) { return {list.data(), static_cast<int32_t>(list.size())}; }
template <class T>
int32_t SizeOf(const std::vector<T>& list) {
  return static_cast<int32_t>(list.size());
}

}  // namespace

PlanView::PlanView(const StepPlan& plan) {
  size_t sequences = plan.ends.size(), biases = 0;
  for (const StepItem& item : plan.items) sequences += item.samples.size();
  for (const SequenceStart& s : plan.starts) biases += s.sampling.logit_bias.size();
  sequences_.reserve(sequences);
  biases_.reserve(biases);
  for (const SequenceStart& s : plan.starts) starts_.push_back(ViewOf(s));
  for (const BlockCopy& c : plan.copies) copies_.push_back({c.source, c.destination});
  for (const StepItem& item : plan.items) items_.push_back(ViewOf(item));
  plan_.id = plan.id;
  plan_.ends = ViewOf(plan.ends), plan_.ends_size = SizeOf(plan.ends);
  plan_.starts = starts_.data(), plan_.starts_size = SizeOf(starts_);
  plan_.copies = copies_.data(), plan_.copies_size = SizeOf(copies_);
  plan_.items = items_.data(), plan_.items_size = SizeOf(items_);
  plan_.report_layer_groups = plan.report_layer_groups;
}

const TwSequence* PlanView::ViewOf(const std::vector<SequenceId>& sequences) {
  const TwSequence* first = sequences_.data() + sequences_.size();
  for (const SequenceId& s : sequences) sequences_.push_back({s.request.value, s.index});
  return first;
}

TwStart PlanView::ViewOf(const SequenceStart& s) {
  const SamplingParams& p = s.sampling;
  const TwTokenValue* bias = biases_.data() + biases_.size();
  for (const auto& [token, value] : p.logit_bias) biases_.push_back({token, value});
  return {.sequence = {s.sequence.request.value, s.sequence.index},
          .temperature = p.temperature,
          .top_p = p.top_p,
          .min_p = p.min_p,
          .repetition_penalty = p.repetition_penalty,
          .frequency_penalty = p.frequency_penalty,
          .presence_penalty = p.presence_penalty,
          .top_k = p.top_k,
          .logprobs = p.logprobs,
          .max_tokens = p.max_tokens,
          .min_tokens = p.min_tokens,
          .ignore_eos = p.ignore_eos,
          .seed = p.seed,
          .logit_bias = bias,
          .logit_bias_size = SizeOf(p.logit_bias),
          .stop_token_ids = model::ViewOf(p.stop_token_ids),
          .prompt = model::ViewOf(s.prompt),
          .emitted = model::ViewOf(s.emitted)};
}

TwItem PlanView::ViewOf(const StepItem& item) {
  return {.tokens = model::ViewOf(item.tokens),
          .blocks = model::ViewOf(item.blocks),
          .first_position = item.first_position,
          .is_prefill = item.is_prefill,
          .samples = ViewOf(item.samples),
          .samples_size = SizeOf(item.samples)};
}

}  // namespace tokenworks::model
