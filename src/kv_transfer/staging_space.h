// SPDX-License-Identifier: Apache-2.0
// Which ranges of a staging memory are in use.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace tokenworks::kv_transfer {

// A plain state machine. Ranges come back in any order; one that never does costs its own room alone.
class StagingSpace {
 public:
  static constexpr uint64_t kAlignment = 64;
  explicit StagingSpace(uint64_t bytes) : bytes_(bytes) {}

  // The first place where `bytes` (more than 0) lie together, at a multiple of the alignment; nothing when there is no
  // room now.
  std::optional<uint64_t> Take(uint64_t bytes);
  // A range that was taken at `offset`; others are ignored.
  void GiveBack(uint64_t offset) { taken_.erase(offset); }

 private:
  const uint64_t bytes_;
  std::map<uint64_t, uint64_t> taken_;  // begin -> end
};

}  // namespace tokenworks::kv_transfer
