// SPDX-License-Identifier: Apache-2.0
// One connection between two workers, as the control thread sees it.
#pragma once

#include <memory>

#include "kv_transfer/transport.h"
#include "tokenworks/kv_layout.h"
#include "tokenworks/status.h"

namespace tokenworks::worker {

struct PeerLink {
  std::shared_ptr<kv_transfer::PeerConnection> connection;
  WorkerId worker;  // the other end
  Incarnation incarnation = 0;
  bool accepted = false;  // decode side: the handshake is done
  KvLayout layout;        // decode side: how the peer's pushes lie, in groups of so many layers
  int group_layers = 1;
  Status refusal;  // prefill side: why the decode worker refused the handshake
};

}  // namespace tokenworks::worker
