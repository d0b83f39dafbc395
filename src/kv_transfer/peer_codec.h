// SPDX-License-Identifier: Apache-2.0
// peer_messages.h to the bytes of proto/peer.proto and back.
#pragma once

#include <string>
#include <string_view>

#include "kv_transfer/peer_messages.h"
#include "tokenworks/clock.h"

namespace tokenworks::kv_transfer {

// `now` turns a deadline into the time that is left, and back.
std::string EncodePeer(const PeerMessage& message, TimePoint now);
// InvalidArgument for bytes that no peer of ours writes.
StatusOr<PeerMessage> DecodePeer(std::string_view bytes, TimePoint now);

}  // namespace tokenworks::kv_transfer
