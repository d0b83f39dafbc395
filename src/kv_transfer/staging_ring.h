// SPDX-License-Identifier: Apache-2.0
// Which ranges of a staging memory are in use: handed out one after the other around it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace tokenworks::kv_transfer {

// A plain state machine. Ranges may come back in any order; room is found again in the order they were handed out.
class StagingRing {
 public:
  static constexpr uint64_t kAlignment = 64;
  explicit StagingRing(uint64_t bytes) : bytes_(bytes) {}

  // Where `bytes` (more than 0) lie together, at a multiple of the alignment; nothing when there is no room now.
  std::optional<uint64_t> Take(uint64_t bytes);
  // A range that was taken at `offset`; others are ignored.
  void GiveBack(uint64_t offset);

 private:
  struct Range {
    uint64_t begin, end;
    bool returned = false;
  };
  const uint64_t bytes_;
  std::deque<Range> taken_;  // oldest first
};

}  // namespace tokenworks::kv_transfer
