// SPDX-License-Identifier: Apache-2.0
// Memory of the decode side's own, from which verified KV goes into the executor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <span>

#include "tokenworks/executor.h"

namespace tokenworks::worker {

// Grows by doubling, whole pages; pinned, where the executor has a use for that.
class PinnedCopy {
 public:
  explicit PinnedCopy(Executor& executor) : executor_(executor) {}
  PinnedCopy(const PinnedCopy&) = delete;
  ~PinnedCopy() { Release(); }

  // The first `bytes`; what was there is lost when it grows.
  std::span<std::byte> First(size_t bytes) {
    if (bytes > memory_.size()) {
      const size_t size = (std::max(bytes, 2 * memory_.size()) + kPage - 1) / kPage * kPage;
      Release();
      memory_ = {static_cast<std::byte*>(operator new(size, std::align_val_t(kPage))), size};
      executor_.Pin(memory_);
    }
    return memory_.first(bytes);
  }

 private:
  static constexpr size_t kPage = 4096;
  void Release() {
    if (memory_.empty()) return;
    executor_.Unpin(memory_);
    operator delete(memory_.data(), std::align_val_t(kPage));
    memory_ = {};
  }
  Executor& executor_;
  std::span<std::byte> memory_;
};

}  // namespace tokenworks::worker
