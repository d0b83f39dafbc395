// SPDX-License-Identifier: Apache-2.0
// What the scheduler remembers of a request and its sequences.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "engine/kv_cache/block_pool.h"
#include "kv_index/block_key.h"
#include "tokenworks/clock.h"
#include "tokenworks/generation_request.h"
#include "tokenworks/token_delta.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::scheduler {

enum class SequencePhase : uint8_t {
  kWaiting,    // holds nothing
  kFollowing,  // shares the leader's prompt, forks when that is computed
  kRunning,    // holds blocks; computes prompt rows or decodes
  kHeld,       // handed off (blocks until EndHandoff) or reserved (blocks until Activate)
  kFinished,
};

struct Sequence {
  uint32_t index = 0;
  SequencePhase phase = SequencePhase::kWaiting;
  std::vector<TokenId> tokens;  // prompt and all outputs
  int outputs = 0;              // of them, emitted ones included
  std::vector<BlockId> blocks;  // block table from position 0
  int computed = 0;             // leading positions whose K and V are in the blocks
  int registered = 0;           // leading blocks whose content is named
  kv_index::BlockKey last_key;  // of the last registered block (or the root)
  bool opened = false;          // known to the executor's sampler
  bool stopping = false;        // finishes when its plan comes back
  int in_flight = 0;            // plans that are not completed
  int rows_ahead = 0;           // positions that they compute
  int draws_ahead = 0;          // tokens that they draw
  int recompute_below = 0;      // positions below were computed before a preemption

  int total() const { return static_cast<int>(tokens.size()); }
  int missing() const { return total() - computed; }
  // As if all plans in flight were completed. The last token may still be on its way (kPendingToken).
  int planned() const { return computed + rows_ahead; }
  int planned_total() const { return total() + draws_ahead; }
};

struct Resident {
  GenerationRequest request;
  Route route = Route::kLocal;
  bool decode_side = false;  // came by Reserve
  bool wanted_reservation = false, granted = false;
  bool prompt_done = false;
  int pushed = 0;  // prompt blocks below are cached at the peer or told to be pushed
  std::vector<Sequence> sequences;
  kv_cache::Use use = kv_cache::Use::kActive;
  uint64_t order = 0;  // of arrival
  TimePoint arrived, started, first_token;
  bool has_started = false;
  int cached_tokens = 0;
  bool ending = false;  // only waits for a plan in flight
  bool failed = false;  // a plan of it was not computed: what one behind it computed means nothing
  Status status;

  bool in_flight() const {
    for (const Sequence& s : sequences)
      if (s.in_flight) return true;
    return false;
  }
  bool finished() const {
    for (const Sequence& s : sequences)
      if (s.phase != SequencePhase::kFinished) return false;
    return true;
  }
};

}  // namespace tokenworks::scheduler
