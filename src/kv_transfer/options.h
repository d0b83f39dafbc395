// SPDX-License-Identifier: Apache-2.0
// Settings of the hand-off, both sides.
#pragma once

#include <cstdint>

#include "tokenworks/clock.h"

namespace tokenworks::kv_transfer {

// Damage on purpose, for tests. Off by default.
struct FaultInjection {
  // Flips one exponent bit of the first value of the first block that each hand-off writes into the ring,
  // after its checksum was taken; a resend is left alone.
  bool flip_bit = false;
};

struct HandoffOptions {
  bool checksums = true;                                // XXH3-64 per block and layer group
  uint64_t ring_bytes = uint64_t{32} << 20;             // staging memory of one pair
  Duration reservation_wait = std::chrono::seconds(10);   // in the decode worker's queue, then refused
  int reservations_waiting_max = 512;                   // in the decode worker's queue
  FaultInjection fault;
};

}  // namespace tokenworks::kv_transfer
