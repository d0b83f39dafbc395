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
  Duration deadline = std::chrono::seconds(10);         // for the peer's next sign of life
  Duration compute_deadline = std::chrono::seconds(120);  // for the next computed blocks of a granted request
  Duration reservation_wait = std::chrono::seconds(10);   // in the decode worker's queue, then refused
  Duration reservation_wait_total = std::chrono::seconds(60);  // on the prefill side, over all refusals
  Duration refused_pause = std::chrono::milliseconds(50);      // before a refused reservation is asked for again
  int attempts_max = 2;                                 // reservations of one request, refusals apart
  int reservations_waiting_max = 512;                   // in the decode worker's queue
  FaultInjection fault;
};

}  // namespace tokenworks::kv_transfer
