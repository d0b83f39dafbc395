// SPDX-License-Identifier: Apache-2.0
// The handshake: whether two workers can hand KV to each other.
#pragma once

#include "kv_transfer/peer_messages.h"

namespace tokenworks::kv_transfer {

// `own`: what this worker is, as a hello of its own would say it. FailedPrecondition names the first field that
// differs: protocol range, incarnation, weight digest, numerics id. Another KV layout is accepted where it can be
// converted; then the numerics id may differ too: the tokens are not those of one worker alone.
Status CheckAgreement(const PeerHello& own, const PeerHello& theirs);

}  // namespace tokenworks::kv_transfer
