// SPDX-License-Identifier: Apache-2.0
// The seam of a wire: how two workers talk, and where KV bytes lie on their way.
// tests/unit/kv_transfer/transport_conformance_test.cc holds every wire to what is said here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kv_transfer/peer_messages.h"

namespace tokenworks::kv_transfer {

struct StagingSlot {
  uint64_t offset = 0;
  std::span<std::byte> memory;
};

// One end of a connection between two workers. The dialling end (prefill) hands out slots of the staging memory and
// fills them; the accepting end (decode) only reads. Start, Send and Close are thread-safe; slots belong to one thread.
class PeerConnection {
 public:
  struct Events {
    std::function<void(PeerMessage)> message;  // in the order of Send
    std::function<void()> closed;              // once, and the last one
  };

  virtual ~PeerConnection() = default;
  // Once. Events come from any thread, never two at once.
  virtual void Start(Events events) = 0;
  // False when the connection is gone.
  virtual bool Send(const PeerMessage& message) = 0;
  // Both ends hear `closed`.
  virtual void Close() = 0;

  // The dialling end's staging memory, for those who pin it; empty at the accepting end.
  virtual std::span<std::byte> staging() = 0;
  // Exactly `bytes` (more than 0) of it, aligned to 64; nothing while there is no room.
  virtual std::optional<StagingSlot> TakeSlot(uint64_t bytes) = 0;
  virtual void GiveBack(uint64_t offset) = 0;
  // What the dialling end has staged; nothing when the range is not wholly inside the staging memory.
  virtual std::optional<std::span<const std::byte>> Staged(uint64_t offset, uint64_t bytes) const = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::string_view name() const = 0;
  // Unavailable when nobody listens there; ResourceExhausted when there is no staging memory.
  virtual StatusOr<std::shared_ptr<PeerConnection>> Dial(const std::string& address, uint64_t staging_bytes) = 0;
  // Once. `accepted` comes from any thread until StopListening has returned.
  virtual Status Listen(const std::string& address, std::function<void(std::shared_ptr<PeerConnection>)> accepted) = 0;
  virtual void StopListening() = 0;
};

}  // namespace tokenworks::kv_transfer
