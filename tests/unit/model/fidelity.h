// SPDX-License-Identifier: Apache-2.0
// How close one distribution over the vocabulary is to another, summed over positions.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace tokenworks::model::cpu {

inline double LogSumExp(const float* logits, int n) {
  const double top = *std::max_element(logits, logits + n);
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += std::exp(logits[i] - top);
  return top + std::log(sum);
}

struct Fidelity {
  static constexpr double kMarginNats = 0.15;  // below it the reference itself is in doubt
  int positions = 0, decided = 0, same = 0;
  double kl_sum = 0;

  double mean_kl() const { return kl_sum / positions; }
  double same_share() const { return decided == 0 ? 1 : static_cast<double>(same) / decided; }

  // KL(reference || other) in nats, and whether the best token is the same where the reference's margin is clear.
  void Add(const float* reference, const float* other, int n) {
    const double a = LogSumExp(reference, n), b = LogSumExp(other, n);
    double kl = 0;
    int best = 0, second = -1, other_best = 0;
    for (int i = 0; i < n; ++i) {
      const double p = reference[i] - a;
      kl += std::exp(p) * (p - (other[i] - b));
      if (i > 0 && reference[i] > reference[best])
        second = best, best = i;
      else if (i > 0 && (second < 0 || reference[i] > reference[second]))
        second = i;
      if (other[i] > other[other_best]) other_best = i;
    }
    kl_sum += kl;
    ++positions;
    if (reference[best] - reference[second] < kMarginNats) return;
    ++decided;
    same += best == other_best;
  }
};

}  // namespace tokenworks::model::cpu
