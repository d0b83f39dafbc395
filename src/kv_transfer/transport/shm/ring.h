// SPDX-License-Identifier: Apache-2.0
// The staging memory of one prefill -> decode pair: a sealed memfd that the prefill side makes and fills and the decode
// side reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "kv_transfer/staging_space.h"
#include "kv_transfer/transport.h"
#include "platform/base/unique_fd.h"
#include "tokenworks/status.h"

namespace tokenworks::kv_transfer {

// Maps the same memory on both sides. The sender hands out slots; the receiver checks every offset that it is told.
class Ring {
 public:
  // Sender; sealed against resizing.
  static StatusOr<std::unique_ptr<Ring>> Make(uint64_t bytes);
  // Receiver. InvalidArgument for a descriptor that is unsealed or too small.
  static StatusOr<std::unique_ptr<Ring>> Open(base::UniqueFd fd, uint64_t bytes);
  ~Ring();

  int fd() const { return fd_.get(); }
  uint64_t bytes() const { return bytes_; }
  std::optional<StagingSlot> TakeSlot(uint64_t bytes);
  void GiveBack(uint64_t offset) { ranges_.GiveBack(offset); }
  std::span<std::byte> At(uint64_t offset, uint64_t size) { return {data_ + offset, size}; }
  bool Contains(uint64_t offset, uint64_t size) const { return size <= bytes_ && offset <= bytes_ - size; }

 private:
  Ring(base::UniqueFd fd, std::byte* data, uint64_t bytes)
      : fd_(std::move(fd)), data_(data), bytes_(bytes), ranges_(bytes) {}
  base::UniqueFd fd_;
  std::byte* data_;
  uint64_t bytes_;
  StagingSpace ranges_;
};

}  // namespace tokenworks::kv_transfer
