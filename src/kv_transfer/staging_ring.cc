// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/staging_ring.h"

#include <algorithm>

namespace tokenworks::kv_transfer {

std::optional<uint64_t> StagingRing::Take(uint64_t bytes) {
  if (bytes == 0 || bytes > bytes_) return std::nullopt;
  uint64_t begin = 0, limit = bytes_;
  if (!taken_.empty()) {
    const uint64_t oldest = taken_.front().begin, newest = taken_.back().begin;
    begin = (taken_.back().end + kAlignment - 1) / kAlignment * kAlignment;
    if (newest < oldest)
      limit = oldest;  // already around
    else if (begin > bytes_ || bytes > bytes_ - begin)
      begin = 0, limit = oldest;  // goes around
  }
  if (begin > limit || bytes > limit - begin) return std::nullopt;
  taken_.push_back({begin, begin + bytes});
  return begin;
}

void StagingRing::GiveBack(uint64_t offset) {
  const auto range = std::find_if(taken_.begin(), taken_.end(), [=](const Range& r) { return r.begin == offset; });
  if (range == taken_.end()) return;
  range->returned = true;
  while (!taken_.empty() && taken_.front().returned) taken_.pop_front();
}

}  // namespace tokenworks::kv_transfer
