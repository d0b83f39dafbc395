// SPDX-License-Identifier: Apache-2.0
// What the router knows of the cluster, as `status --json`, /v1/cluster and /metrics show it.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tokenworks/clock.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::router {

// received = completed + failed + cancelled + rejected + active, at every instant.
struct RequestBooks {
  uint64_t received = 0, active = 0, completed = 0, failed = 0, cancelled = 0, rejected = 0, migrated = 0;
};

struct WorkerStatus {
  WorkerHello hello;  // as last heard; only `worker` and `role` before the first hello
  WorkerState state = WorkerState::kStarting;
  WorkerRole role = WorkerRole::kMixed;
  WorkerReport report;
  uint64_t restarts = 0;
  std::string error;  // why it is lost or refused
};

struct HandoffTotals {
  uint64_t started = 0, completed = 0, failed = 0, recomputed = 0, fallback = 0, bytes = 0, bytes_resent = 0;
};

// Seconds; cumulative as Prometheus wants them is the printer's business.
class LatencyHistogram {
 public:
  static constexpr std::array<double, 18> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,
                                                     0.75,  1.0,    2.5,   5.0,  7.5,   10.0, 20.0, 40.0, 80.0};
  void Observe(Duration value);
  const std::array<uint64_t, kBounds.size() + 1>& counts() const { return counts_; }  // last: above all bounds
  double sum_seconds() const { return sum_; }
  uint64_t count() const { return count_; }

 private:
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
  uint64_t count_ = 0;
};

struct RouterMetrics {
  uint64_t prompt_tokens = 0;  // of requests that got a token; the sum of all `usage`
  uint64_t prompt_tokens_cached = 0;
  uint64_t generation_tokens = 0;  // counted when their sequence ends
  uint64_t path_local = 0, path_disaggregated = 0;
  uint64_t dropped_deltas = 0;  // duplicates, old epochs, unknown requests
  int waiting = 0;              // requests without a first token
  int running = 0;              // requests with one
  LatencyHistogram queue;       // RequestTimings::queue_ms of requests whose prefill side ended before they did
  LatencyHistogram ttft, inter_token, end_to_end;
};

struct ClusterStatus {
  std::string model;
  std::string http, grpc;  // addresses, set by whoever listens
  bool ready = false;      // a new request would be placed at once
  std::string not_ready_reason;
  int context_length = 0;  // the limit in force
  RequestBooks requests;
  std::vector<WorkerStatus> workers;
  HandoffTotals handoff;
  RouterMetrics metrics;
};

// The object of `status --json` and GET /v1/cluster.
nlohmann::ordered_json ToJson(const ClusterStatus& status);

}  // namespace tokenworks::router
