// SPDX-License-Identifier: Apache-2.0
// Time is a parameter: cores take `now`, shells read a Clock, tests and the simulator move a ManualClock.
#pragma once

#include <chrono>

namespace tokenworks {

using Duration = std::chrono::nanoseconds;
// Nanoseconds since an arbitrary start that all processes of one host share (steady clock).
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
};

class SteadyClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
};

class ManualClock final : public Clock {
 public:
  TimePoint Now() const override { return now_; }
  void Advance(Duration d) { now_ += d; }

 private:
  TimePoint now_{std::chrono::hours(1)};
};

inline double Milliseconds(Duration d) { return static_cast<double>(d.count()) * 1e-6; }

}  // namespace tokenworks
