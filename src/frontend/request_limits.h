// SPDX-License-Identifier: Apache-2.0
// What a request may ask for, whatever dialect it comes in.
#pragma once

#include <cstddef>
#include <limits>

namespace tokenworks::request_limits {

inline constexpr int kMaxChoices = 64;
inline constexpr int kMaxStops = 16;
inline constexpr size_t kMaxStopBytes = 1024;
inline constexpr size_t kMaxStopTokenIds = 256;
inline constexpr size_t kMaxLogitBias = 1024;
inline constexpr size_t kMaxRequestIdBytes = 128;
inline constexpr size_t kMaxCacheSaltBytes = 256;

// `low_open`: low itself is outside.
struct Range {
  double low, high;
  bool low_open = false;
  // False for NaN.
  bool Holds(double v) const { return (low_open ? v > low : v >= low) && v <= high; }
};
inline constexpr Range kTemperature{0, 2}, kTopP{0, 1, true}, kMinP{0, 1}, kRepetitionPenalty{0, 10, true},
    kPenalty{-2, 2}, kBias{-100, 100}, kPriority{-1000000, 1000000};
inline constexpr Range kTopK{-1, std::numeric_limits<int>::max()}, kMinTokens{0, std::numeric_limits<int>::max()},
    kMaxTokens{1, std::numeric_limits<int>::max()};

}  // namespace tokenworks::request_limits
