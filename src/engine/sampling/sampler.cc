// SPDX-License-Identifier: Apache-2.0
#include "engine/sampling/sampler.h"

#include <algorithm>
#include <limits>

#include "engine/sampling/noise.h"
#include "kernels/vector_math/vector_math.h"

namespace tokenworks::sampling {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// The largest value, ties to the lower id; NaN never wins.
TokenId ArgMax(std::span<const float> x) {
  TokenId best = 0;
  float value = kMinusInfinity;
  for (size_t i = 0; i < x.size(); ++i)
    if (x[i] > value) value = x[i], best = static_cast<TokenId>(i);
  return best;
}

}  // namespace

void Sampler::Open(const SequenceStart& start) {
  History history;
  history.params = start.sampling;
  for (const TokenId t : start.emitted) ++history.output_counts[t];
  history.outputs = static_cast<uint32_t>(start.emitted.size());
  if (start.sampling.repetition_penalty != 1.0f) {
    history.prompt_tokens = start.prompt;
    std::sort(history.prompt_tokens.begin(), history.prompt_tokens.end());
    history.prompt_tokens.erase(std::unique(history.prompt_tokens.begin(), history.prompt_tokens.end()),
                                history.prompt_tokens.end());
  }
  open_[start.sequence] = std::move(history);
}

void Sampler::Close(SequenceId sequence) { open_.erase(sequence); }

bool Sampler::ChangesLogits(const History& h) const {
  const SamplingParams& p = h.params;
  return p.repetition_penalty != 1.0f || p.frequency_penalty != 0.0f || p.presence_penalty != 0.0f ||
         !p.logit_bias.empty() || static_cast<int>(h.outputs) < p.min_tokens;
}

void Sampler::ApplyPenalties(const History& h, std::span<float> x) const {
  const SamplingParams& p = h.params;
  const auto valid = [&](TokenId t) { return t >= 0 && static_cast<size_t>(t) < x.size(); };
  if (p.repetition_penalty != 1.0f) {
    const auto repeat = [&](TokenId t) {
      if (valid(t)) x[t] = x[t] > 0 ? x[t] / p.repetition_penalty : x[t] * p.repetition_penalty;
    };
    for (const TokenId t : h.prompt_tokens) repeat(t);
    for (const auto& [t, count] : h.output_counts)
      if (!std::binary_search(h.prompt_tokens.begin(), h.prompt_tokens.end(), t)) repeat(t);
  }
  for (const auto& [t, count] : h.output_counts)
    if (valid(t)) x[t] = (x[t] - p.frequency_penalty * static_cast<float>(count)) - p.presence_penalty;
  for (const auto& [t, bias] : p.logit_bias)
    if (valid(t)) x[t] += bias;
  if (static_cast<int>(h.outputs) < p.min_tokens) {
    for (const TokenId t : end_tokens_)
      if (valid(t)) x[t] = kMinusInfinity;
    for (const TokenId t : p.stop_token_ids)
      if (valid(t)) x[t] = kMinusInfinity;
  }
}

TokenId Sampler::Draw(const History& h, uint32_t sequence, std::span<float> x) {
  const SamplingParams& p = h.params;
  float highest = kMinusInfinity;
  for (const float v : x) highest = v > highest ? v : highest;
  if (highest == kMinusInfinity) return 0;
  // Temperature: the weights are e^((x - highest) / T), the highest one is 1 (also where 1 / T or the logit is
  // infinite).
  const float inverse = 1.0f / p.temperature;
  for (float& v : x) v = v == highest ? 0.0f : v == v ? (v - highest) * inverse : kMinusInfinity;
  const double noise = Uniform(p.seed, sequence, h.outputs);
  const bool top_k = p.top_k > 0 && p.top_k < static_cast<int>(x.size());
  weights_.resize(x.size());
  kernels_.exp_minus(x.data(), static_cast<int>(x.size()), 0.0f, weights_.data());

  if (!top_k && p.top_p >= 1.0f) {  // no order needed: inverse CDF by ascending id
    double total = 0;
    for (const float w : weights_) total += w >= p.min_p ? w : 0.0f;
    double rest = noise * total;
    TokenId last = ArgMax(x);
    for (size_t i = 0; i < weights_.size(); ++i) {
      const float w = weights_[i] >= p.min_p ? weights_[i] : 0.0f;
      if (w <= 0) continue;
      last = static_cast<TokenId>(i);
      if ((rest -= w) < 0) break;
    }
    return last;
  }

  const auto higher = [](const Candidate& a, const Candidate& b) {
    return a.value != b.value ? a.value > b.value : a.token < b.token;
  };
  candidates_.clear();
  for (size_t i = 0; i < weights_.size(); ++i)
    if (weights_[i] > 0) candidates_.push_back({weights_[i], static_cast<TokenId>(i)});
  if (top_k && static_cast<size_t>(p.top_k) < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + p.top_k, candidates_.end(), higher);
    candidates_.resize(p.top_k);
  }
  size_t sorted = 0;
  const auto sort_up_to = [&](size_t n) {
    n = std::min(n, candidates_.size());
    if (n <= sorted) return;
    if (n < candidates_.size())
      std::nth_element(candidates_.begin() + sorted, candidates_.begin() + n, candidates_.end(), higher);
    std::sort(candidates_.begin() + sorted, candidates_.begin() + n, higher);
    sorted = n;
  };
  // top_p: the smallest set, by descending weight, whose sum reaches p of the total; the crossing token included.
  // The total is added in ascending id order after top_k, so that it does not depend on the selection's internals.
  double total = 0;
  if (top_k) {
    sort_up_to(candidates_.size());
    for (const Candidate& c : candidates_) total += c.value;
  } else {
    for (const Candidate& c : candidates_) total += c.value;
  }
  size_t kept = 0;
  double sum = 0;
  const double wanted = p.top_p >= 1.0f ? std::numeric_limits<double>::infinity() : p.top_p * total;
  for (size_t chunk = 64; kept < candidates_.size() && (kept == 0 || sum < wanted); chunk *= 4) {
    sort_up_to(kept + chunk);
    while (kept < sorted && (kept == 0 || sum < wanted)) sum += candidates_[kept++].value;
  }
  while (kept > 1 && candidates_[kept - 1].value < p.min_p) sum -= candidates_[--kept].value;
  if (p.min_p > 0) {
    sum = 0;
    for (size_t i = 0; i < kept; ++i) sum += candidates_[i].value;
  }
  double rest = noise * sum;
  for (size_t i = 0; i < kept; ++i)
    if ((rest -= candidates_[i].value) < 0) return candidates_[i].token;
  return candidates_[kept - 1].token;
}

void Sampler::ReportLogprobs(const History& h, std::span<const float> logits, SampledToken& out) {
  const float lse = kernels_.log_sum_exp(logits.data(), static_cast<int>(logits.size()));
  out.logprob = logits[out.token] - lse;
  const size_t count = std::min<size_t>(h.params.logprobs, logits.size());
  // A short list kept in order beats any sort of the vocabulary.
  for (size_t i = 0; i < logits.size() && count > 0; ++i) {
    if (out.top.size() == count && !(logits[i] > out.top.back().logprob)) continue;
    if (logits[i] != logits[i]) continue;
    const TopLogprob entry{static_cast<TokenId>(i), logits[i]};
    const auto at = std::upper_bound(out.top.begin(), out.top.end(), entry,
                                     [](const TopLogprob& a, const TopLogprob& b) { return a.logprob > b.logprob; });
    out.top.insert(at, entry);
    if (out.top.size() > count) out.top.pop_back();
  }
  for (TopLogprob& t : out.top) t.logprob -= lse;
}

SampledToken Sampler::Sample(SequenceId sequence, std::span<const float> logits) {
  History& h = open_.at(sequence);
  SampledToken out;
  const bool greedy = h.params.temperature == 0.0f;
  if (greedy && !ChangesLogits(h)) {
    out.token = ArgMax(logits);
  } else {
    changed_.assign(logits.begin(), logits.end());
    if (ChangesLogits(h)) ApplyPenalties(h, changed_);
    out.token = greedy ? ArgMax(changed_) : Draw(h, sequence.index, changed_);
  }
  if (h.params.logprobs >= 0) ReportLogprobs(h, logits, out);
  ++h.output_counts[out.token];
  ++h.outputs;
  return out;
}

}  // namespace tokenworks::sampling
