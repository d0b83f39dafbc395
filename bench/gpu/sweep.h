// SPDX-License-Identifier: Apache-2.0
// What the sweeps over kernels share: the shape of Llama-8B's attention, inputs that miss the L2.
#pragma once

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "measure.h"

namespace tokenworks::bench {

inline constexpr int kHeads = 32, kKvHeads = 8, kDim = 128;

inline std::string Size(int a, int b) { return std::to_string(a) + " x " + std::to_string(b); }

// Copies of the inputs that together exceed twice the L2.
inline int Copies(Bench& b, double bytes) {
  return b.small() ? 1 : std::clamp(static_cast<int>(2.0 * b.device().info().l2_bytes / bytes) + 1, 2, 64);
}

inline std::vector<int32_t> Shuffled(int n) {
  std::vector<int32_t> v(n);
  std::iota(v.begin(), v.end(), 0);
  std::shuffle(v.begin(), v.end(), std::mt19937(3));
  return v;
}

void SweepDecode(Bench& b);
void SweepPrefill(Bench& b);

}  // namespace tokenworks::bench
