// SPDX-License-Identifier: Apache-2.0
// Memory of the decode side's own, from which verified KV goes into the executor.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tokenworks/executor.h"

namespace tokenworks::worker {

// Grows to the largest message seen; pinned, where the executor has a use for that.
class PinnedCopy {
 public:
  explicit PinnedCopy(Executor& executor) : executor_(executor) {}
  PinnedCopy(const PinnedCopy&) = delete;
  ~PinnedCopy() { Release(); }

  // The first `bytes`; what was there is lost when it grows.
  std::span<std::byte> First(size_t bytes) {
    if (bytes > memory_.size()) {
      Release();
      memory_ = std::vector<std::byte>(bytes);
      executor_.Pin(memory_);
    }
    return std::span(memory_).first(bytes);
  }

 private:
  void Release() {
    if (!memory_.empty()) executor_.Unpin(memory_);
  }
  Executor& executor_;
  std::vector<std::byte> memory_;
};

}  // namespace tokenworks::worker
