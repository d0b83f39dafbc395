// SPDX-License-Identifier: Apache-2.0
// Sequences of a fixed text driven through a CudaExecutor, for its logits and its speed.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/cuda/cuda_executor.h"

namespace tokenworks::bench {

using Clock = std::chrono::steady_clock;
inline double Seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

// Ends the program with the sentence of the first failure. `small`: shapes for the host device.
class Driver {
 public:
  Driver(model::cuda::CudaExecutor& executor, bool small) : executor_(executor), small_(small) {}

  // FILE: int32 vocabulary, tokens, records; the tokens; per record int32 kind (0 one row, 1 chunk, 2 one of 16 rows)
  // and position, then the logits as float.
  int WriteLogits(const std::string& path);
  int MeasureSpeed(const std::string& json_path);

 private:
  // Sequence `id` owns blocks id * blocks_each .. .
  StepItem Rows(int id, int first, int count, bool samples) const;
  StepItem Pending(int id, int position) const;
  TokenId TokenAt(int position) const {
    return static_cast<TokenId>((position * 7919 + 13) % executor_.info().vocabulary);
  }
  StepResult Run(StepPlan plan);
  void Start(int sequences, int context);
  // Seconds of a step in the steady state: `decoding` sequences one row each, `chunk` rows of another.
  double StepSeconds(int decoding, int context, int chunk);

  model::cuda::CudaExecutor& executor_;
  const bool small_;
  int blocks_each_ = 0;
  uint64_t plans_ = 0;
};

}  // namespace tokenworks::bench
