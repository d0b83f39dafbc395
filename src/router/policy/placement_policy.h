// SPDX-License-Identifier: Apache-2.0
// The seam of placement: which worker computes the prompt, which one decodes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "tokenworks/ids.h"
#include "tokenworks/status.h"

namespace tokenworks::router {

// A ready worker as a policy sees it. The load is the router's own view, exact at this instant.
struct Candidate {
  WorkerId worker;
  int64_t load_tokens = 0;  // prompt and longest output of all requests placed there
};

struct PlacementQuery {
  std::span<const Candidate> prefill;  // in worker id order, never empty
  std::span<const Candidate> decode;   // empty: the prefill worker also decodes (local route)
};

struct Placement {
  size_t prefill = 0;  // index into the query's spans
  size_t decode = 0;   // unused for a local route
};

// Not thread-safe: the router's thread owns it. May keep state (round robin, random).
class PlacementPolicy {
 public:
  virtual ~PlacementPolicy() = default;
  virtual Placement Place(const PlacementQuery& query) = 0;
};

// least_loaded, round_robin or random (drawn from `seed`). InvalidArgument lists the names that exist.
StatusOr<std::unique_ptr<PlacementPolicy>> MakePolicy(std::string_view name, uint64_t seed);

}  // namespace tokenworks::router
