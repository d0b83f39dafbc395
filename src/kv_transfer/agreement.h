// SPDX-License-Identifier: Apache-2.0
// The handshake: whether two workers can hand KV to each other.
#pragma once

#include "kv_transfer/peer_messages.h"

namespace tokenworks::kv_transfer {

// What this worker is, as a hello of its own would say it.
// FailedPrecondition names the first field that differs: protocol range, incarnation, weight digest, numerics id, KV
// layout.
Status CheckAgreement(const PeerHello& own, const PeerHello& theirs);

}  // namespace tokenworks::kv_transfer
