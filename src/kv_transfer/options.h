// SPDX-License-Identifier: Apache-2.0
// Settings of the hand-off, both sides.
#pragma once

#include <cstdint>

#include "tokenworks/clock.h"

namespace tokenworks::kv_transfer {

// Damage on purpose, for tests. Off by default.
struct FaultInjection {
  // Flips one exponent bit of the first value of the first block that a hand-off writes into the staging memory,
  // after its checksum was taken; so often per request (2: the resend too).
  int flips = 0;
};

struct HandoffOptions {
  bool checksums = true;                                // XXH3-64 per block and layer group
  uint64_t staging_bytes = uint64_t{32} << 20;          // staging memory of one pair
  Duration reservation_wait = std::chrono::seconds(8);  // in the decode worker's queue, then refused
  int reservations_waiting_max = 512;                   // in the decode worker's queue
  // Without progress in a state that waits for the other side; a peer's death is noticed by its connection.
  Duration peer_wait = std::chrono::seconds(10);
  // The decode side's patience with a prompt that is computed: no push at all for so long.
  Duration compute_wait = std::chrono::seconds(60);
  int recomputes_max = 1;  // of one request whose KV arrived damaged twice
  FaultInjection fault;
};

}  // namespace tokenworks::kv_transfer
