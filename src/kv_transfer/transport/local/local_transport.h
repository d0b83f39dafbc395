// SPDX-License-Identifier: Apache-2.0
// Workers of one process, driven by one thread: messages wait until the owner delivers them, so that tests and the
// simulator decide when, in which order between connections, and whether at all.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kv_transfer/transport.h"

namespace tokenworks::kv_transfer {

class LocalConnection;

// Where the addresses of one process live. Not thread-safe. Outlives its transports and connections.
class LocalHub {
 public:
  // What may happen to a message on its way.
  enum class Fate : uint8_t { kDeliver, kDrop };
  using Inspect = std::function<Fate(PeerMessage& message)>;

  // Asked about every message before it is delivered; it may change the message.
  void SetInspect(Inspect inspect) { inspect_ = std::move(inspect); }
  // Delivers the oldest waiting message or close of the connection end that `pick` chooses among those that have
  // one (by index); false when nothing waits.
  bool DeliverOne(const std::function<size_t(size_t)>& pick = {});
  void DeliverAll() {
    while (DeliverOne()) {
    }
  }

 private:
  friend class LocalConnection;
  friend class LocalTransport;
  std::map<std::string, std::function<void(std::shared_ptr<PeerConnection>)>> listeners_;
  std::vector<std::weak_ptr<LocalConnection>> ends_;
  Inspect inspect_;
};

class LocalTransport final : public Transport {
 public:
  explicit LocalTransport(LocalHub& hub) : hub_(hub) {}
  ~LocalTransport() override { StopListening(); }
  std::string_view name() const override { return "local"; }
  StatusOr<std::shared_ptr<PeerConnection>> Dial(const std::string& address, uint64_t staging_bytes) override;
  Status Listen(const std::string& address, std::function<void(std::shared_ptr<PeerConnection>)> accepted) override;
  void StopListening() override;

 private:
  LocalHub& hub_;
  std::string address_;
};

}  // namespace tokenworks::kv_transfer
