// SPDX-License-Identifier: Apache-2.0
// One connection between two workers, as the control thread sees it.
#pragma once

#include <memory>

#include "kv_transfer/peer_messages.h"
#include "kv_transfer/ring.h"
#include "platform/base/framed_socket.h"

namespace tokenworks::worker {

struct PeerLink {
  std::unique_ptr<base::FramedSocket> socket;
  std::unique_ptr<kv_transfer::Ring> ring;
  WorkerId worker;       // the other end
  bool accepted = false;  // the handshake is done
  bool Send(kv_transfer::PeerMessage message, int fd = -1) { return socket->Send(kv_transfer::EncodePeer(std::move(message)), fd); }
};

}  // namespace tokenworks::worker
