// SPDX-License-Identifier: Apache-2.0
// The CUDA executor's logits beside the CPU's F32 path, both fed the same text.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/model/cpu/cpu_executor.h"
#include "engine/model/cuda/cuda_executor.h"

namespace tokenworks::model::cuda {

// One step over the next `count` tokens of a text in blocks 0 .. .
inline StepPlan Chunk(const std::vector<TokenId>& text, int first, int count, bool samples) {
  constexpr SequenceId kSequence{{1}, 0};
  StepItem item;
  item.tokens.assign(text.begin() + first, text.begin() + first + count);
  item.first_position = first;
  for (int b = 0; b < static_cast<int>(text.size() + 15) / 16; ++b) item.blocks.push_back(b);
  if (samples) item.samples = {kSequence};
  StepPlan plan;
  if (first == 0) plan.starts = {{kSequence, {}, text, {}}};
  plan.items = {item};
  return plan;
}

struct Fidelity {
  int positions = 0;
  double worst = 0;                    // largest |difference| / largest |logit| of any position
  double mean_rms = 0;                 // of ||difference|| / ||logits||
  int decided = 0, decided_agree = 0;  // positions whose best two are farther apart than twice the bound
};

// The text in chunks up to position `chunked`, then token by token; compared at the last row of every step.
inline Fidelity Compare(CudaExecutor& cuda, cpu::CpuExecutor& reference, const std::vector<TokenId>& text, int chunk,
                        int chunked, double bound) {
  Fidelity f;
  std::vector<float> logits(cuda.info().vocabulary);
  for (int at = 0; at < static_cast<int>(text.size());) {
    const int count = at < chunked ? chunk : 1;
    for (Executor* e : {static_cast<Executor*>(&cuda), static_cast<Executor*>(&reference)}) {
      EXPECT_TRUE(e->Submit(Chunk(text, at, count, true)).ok());
      EXPECT_TRUE(e->Collect().ok());
    }
    at += count;
    EXPECT_TRUE(cuda.ReadLogits(0, logits).ok());
    const float* expected = reference.last_logits(0);
    double difference = 0, largest = 0, squares = 0, norm = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      const double d = logits[i] - expected[i];
      difference = std::max(difference, std::abs(d)), largest = std::max<double>(largest, std::abs(expected[i]));
      squares += d * d, norm += double{expected[i]} * expected[i];
    }
    const auto best = std::max_element(expected, expected + logits.size());
    float second = -1e30f;
    for (size_t i = 0; i < logits.size(); ++i)
      if (expected + i != best) second = std::max(second, expected[i]);
    if (*best - second > 2 * bound * largest) {
      ++f.decided;
      f.decided_agree += std::max_element(logits.begin(), logits.end()) - logits.begin() == best - expected;
    }
    ++f.positions;
    f.worst = std::max(f.worst, difference / largest);
    f.mean_rms += std::sqrt(squares / norm);
  }
  f.mean_rms /= f.positions;
  return f;
}

}  // namespace tokenworks::model::cuda
