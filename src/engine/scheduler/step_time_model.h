// SPDX-License-Identifier: Apache-2.0
// What a step will take, learned from those before.
#pragma once

#include <algorithm>

#include "tokenworks/clock.h"

namespace tokenworks::scheduler {

// time = base + rows * per_row, followed by exponential averages; a step far off the expectation counts once clipped.
class StepTimeModel {
 public:
  void Observe(int rows, Duration took) {
    const double ms = Milliseconds(took);
    if (rows <= 0) return;
    if (rows < kBaseRows) {
      base_ms_ += 0.2 * (std::clamp(ms - rows * per_row_ms_, kLeastMs, 10 * base_ms_) - base_ms_);
      return;
    }
    const double seen = std::max(ms - base_ms_, kLeastMs) / rows;
    per_row_ms_ += 0.3 * (std::clamp(seen, per_row_ms_ / 4, per_row_ms_ * 4) - per_row_ms_);
  }
  double PredictMs(int rows) const { return base_ms_ + rows * per_row_ms_; }
  // Most rows whose step is predicted to end within `target`, at least `lowest`.
  int RowsWithin(Duration target, int lowest) const {
    return std::max(lowest,
                    static_cast<int>(std::clamp((Milliseconds(target) - base_ms_) / per_row_ms_, 0.0, kMostRows)));
  }

 private:
  static constexpr int kBaseRows = 16;
  static constexpr double kLeastMs = 0.01;  // never zero: what is clipped to multiples of itself could not grow again
  static constexpr double kMostRows = 1 << 30;
  double base_ms_ = 2.0;
  double per_row_ms_ = 0.7;
};

}  // namespace tokenworks::scheduler
