// SPDX-License-Identifier: Apache-2.0
// Workers of one host: messages over a Unix socket, KV through a sealed memory file that the socket hands over.
#pragma once

#include <memory>

#include "kv_transfer/transport.h"
#include "platform/base/framed_socket.h"

namespace tokenworks::kv_transfer {

class ShmTransport final : public Transport {
 public:
  std::string_view name() const override { return "shm"; }
  StatusOr<std::shared_ptr<PeerConnection>> Dial(const std::string& address, uint64_t staging_bytes) override;
  Status Listen(const std::string& address, std::function<void(std::shared_ptr<PeerConnection>)> accepted) override;
  void StopListening() override { listener_.reset(); }

 private:
  std::unique_ptr<base::FramedListener> listener_;
};

}  // namespace tokenworks::kv_transfer
