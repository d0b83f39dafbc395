// SPDX-License-Identifier: Apache-2.0
// What a step will take, learned from those before.
#pragma once

#include <cstdint>
#include <map>

#include "tokenworks/clock.h"

namespace tokenworks::scheduler {

// On a CPU (row_quantum 1): time = base + rows * per_row, followed by exponential averages. On a GPU time is a
// staircase of rows: an average for each size that the executor rounds a step up to. A step far off the expectation
// counts once clipped.
class StepTimeModel {
 public:
  explicit StepTimeModel(int row_quantum = 1) : row_quantum_(row_quantum) {}

  void Observe(int rows, Duration took);
  double PredictMs(int rows) const;
  // Most rows whose step is predicted to end within `target`, at least `lowest`. On a CPU only.
  int RowsWithin(Duration target, int lowest) const;

 private:
  void ObserveStair(int rows, double ms);
  double PredictStairMs(int rows) const;
  // The size that a step of `rows` is rounded up to: 1, 2, 4 .. row_quantum, then multiples of it.
  int StairOf(int rows) const;

  struct Stair {
    double ms = 0;
    uint64_t at = 0;  // large_steps_ then
  };
  bool Fresh(const Stair& stair) const;

  int row_quantum_;
  double base_ms_ = 2.0;
  double per_row_ms_ = 0.7;
  std::map<int, Stair> stairs_;
  uint64_t large_steps_ = 0;  // of row_quantum rows and more
};

}  // namespace tokenworks::scheduler
