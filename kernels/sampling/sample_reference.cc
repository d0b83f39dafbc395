// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/sampling/philox.h"
#include "kernels/sampling/sample.h"

namespace tokenworks::kernels {
namespace {

struct Candidate {
  double weight;
  int id;
};

bool Before(const Candidate& a, const Candidate& b) { return a.weight != b.weight ? a.weight > b.weight : a.id < b.id; }

std::vector<Candidate> Weights(const float* x, int vocabulary, double temperature) {
  double highest = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < vocabulary; ++i)
    if (x[i] > highest) highest = x[i];
  std::vector<Candidate> all;
  for (int i = 0; i < vocabulary; ++i) {
    const double w = std::exp((x[i] - highest) / temperature);
    if (w > 0) all.push_back({w, i});
  }
  std::sort(all.begin(), all.end(), Before);
  return all;
}

void KeepTop(std::vector<Candidate>& kept, const SamplingRow& p) {
  if (p.top_k > 0 && p.top_k < static_cast<int>(kept.size())) kept.resize(p.top_k);
  double total = 0, sum = 0;
  for (const Candidate& c : kept) total += c.weight;
  size_t n = 0;
  while (p.top_p < 1.0f && n < kept.size() && (n == 0 || sum < p.top_p * total)) sum += kept[n++].weight;
  if (p.top_p < 1.0f) kept.resize(n);
  while (kept.size() > 1 && kept.back().weight < p.min_p) kept.pop_back();
}

int DrawById(std::vector<Candidate> kept, double noise, double* slack) {
  std::sort(kept.begin(), kept.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
  double total = 0, sum = 0;
  for (const Candidate& c : kept) total += c.weight;
  for (const Candidate& c : kept) {
    if (noise * total < sum + c.weight) {
      *slack = std::min(noise * total - sum, sum + c.weight - noise * total) / total;
      return c.id;
    }
    sum += c.weight;
  }
  *slack = 0;
  return kept.back().id;
}

void ReportRaw(const SampleArgs& a, int row, const float* x, std::vector<float>& logprobs) {
  std::vector<Candidate> all = Weights(x, a.vocabulary, 1.0);
  double sum = 0;
  for (const Candidate& c : all) sum += c.weight;
  const double log_sum = all.empty() ? 0 : x[all[0].id] + std::log(sum);
  logprobs.resize(a.vocabulary);
  for (int i = 0; i < a.vocabulary; ++i) logprobs[i] = static_cast<float>(x[i] - log_sum);
  for (int i = 0; i < a.row[row].logprobs && i < static_cast<int>(all.size()); ++i) {
    a.top_token[row * kMaxTopTokens + i] = all[i].id;
    a.top_logprob[row * kMaxTopTokens + i] = logprobs[all[i].id];
  }
}

}  // namespace

void SampleReference(const SampleArgs& a, double* slack) {
  for (int row = 0; row < a.rows; ++row) {
    const SamplingRow& p = a.row[row];
    float* x = a.logits + int64_t{row} * a.stride;
    std::vector<float> logprobs;
    if (p.logprobs >= 0) ReportRaw(a, row, x, logprobs);
    for (int i = p.first_edit; i < p.first_edit + p.edits; ++i) {
      const LogitEdit& e = a.edits[i];
      float& v = x[e.token];
      if (p.repetition_penalty != 1.0f && (e.in_prompt || e.output_count > 0))
        v = v > 0 ? v / p.repetition_penalty : v * p.repetition_penalty;
      if (e.output_count > 0) v = (v - p.frequency_penalty * static_cast<float>(e.output_count)) - p.presence_penalty;
      v += e.bias;
    }
    std::vector<Candidate> kept = Weights(x, a.vocabulary, p.temperature > 0 ? p.temperature : 1.0);
    double margin = 1;
    int token = kept.empty() ? 0 : kept[0].id;
    if (p.temperature > 0 && !kept.empty()) {
      KeepTop(kept, p);
      token = DrawById(kept, KeyedUniform(p.seed, p.sequence, p.position), &margin);
    }
    if (slack) slack[row] = margin;
    a.token[row] = token;
    if (p.logprobs >= 0) a.logprob[row] = logprobs[token];
  }
}

}  // namespace tokenworks::kernels
