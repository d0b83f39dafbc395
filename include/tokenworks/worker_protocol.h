// SPDX-License-Identifier: Apache-2.0
// What router and worker say to each other, as plain structs. proto/worker.proto is the same on the wire;
// src/platform/rpc/worker_codec converts. An in-process worker (`serve`) exchanges these structs directly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tokenworks/executor.h"
#include "tokenworks/generation_request.h"
#include "tokenworks/gpu_reading.h"
#include "tokenworks/ids.h"
#include "tokenworks/kv_layout.h"
#include "tokenworks/token_delta.h"

namespace tokenworks {

enum class WorkerRole : uint8_t { kPrefill, kDecode, kMixed, kParked };
enum class WorkerState : uint8_t { kStarting, kReady, kDraining, kLost };

constexpr std::string_view WorkerRoleName(WorkerRole r) {
  switch (r) {
    case WorkerRole::kPrefill:
      return "prefill";
    case WorkerRole::kDecode:
      return "decode";
    case WorkerRole::kMixed:
      return "mixed";
    case WorkerRole::kParked:
      return "parked";
  }
  return "";
}
constexpr std::string_view WorkerStateName(WorkerState s) {
  switch (s) {
    case WorkerState::kStarting:
      return "starting";
    case WorkerState::kReady:
      return "ready";
    case WorkerState::kDraining:
      return "draining";
    case WorkerState::kLost:
      return "lost";
  }
  return "";
}

// Where a worker accepts its peers' hand-off connections.
struct PeerAddress {
  WorkerId worker;
  Incarnation incarnation = 0;
  std::string socket_path;
};

// First message of a worker on its stream.
struct WorkerHello {
  WorkerId worker;
  Incarnation incarnation = 0;
  int64_t pid = 0;
  std::string host;
  std::string device;
  std::string model;
  std::string weight_digest;
  std::string numerics_id;
  KvLayout kv_layout;
  int context_length = 0;  // min(model's, what the pool can hold)
  int kv_blocks = 0;
  WorkerRole role = WorkerRole::kMixed;
  PeerAddress peer;
  uint32_t protocol_min = kProtocolMin;
  uint32_t protocol_max = kProtocolMax;
};

enum class Route : uint8_t {
  kLocal,    // this worker prefills and decodes
  kHandoff,  // this worker prefills, samples the first token and hands off to Assign::decode
};

struct Assign {
  GenerationRequest request;
  Route route = Route::kLocal;
  PeerAddress decode;  // for kHandoff
};

enum class CancelReason : uint8_t { kClientGone, kStopString, kDeadline, kAborted, kSuperseded };

// Without `sequence`: the whole request. Unknown requests are remembered for a while (a cancel may overtake
// a reservation), never an error.
struct Cancel {
  RequestId request;
  Epoch epoch = 0;
  std::optional<uint32_t> sequence;
  CancelReason reason = CancelReason::kAborted;
};

struct SetRole {
  WorkerRole role = WorkerRole::kMixed;
};

using ToWorker = std::variant<Assign, Cancel, SetRole>;

struct RequestTimings {
  double queue_ms = 0;    // from Assign to the first computed row
  double prefill_ms = 0;  // first row to first token
  double handoff_ms = 0;  // first token to Active on the decode worker
  double decode_ms = 0;   // after that
};

// The worker holds nothing of this request any more (the prefill worker: after the decode worker's ack).
struct RequestEnded {
  RequestId request;
  Epoch epoch = 0;
  bool handed_off = false;  // this was the prefill side: the decode worker goes on
  Status status;            // ok, or why it failed: a sentence for the client
  RequestTimings timings;   // the parts that this worker knows
  int cached_tokens = 0;    // prompt tokens found in the prefix cache
};

struct KvCounts {
  int total = 0, free = 0, cached = 0, active = 0, reserved = 0, sending = 0, receiving = 0, quarantined = 0;
  int leaked = 0;  // from an independent walk over owners
  bool operator==(const KvCounts&) const = default;
};

// Why the rows of a step are as many as they are.
enum class RowsChoice : uint8_t {
  kDecode,       // one for each sequence that decodes, nothing else
  kPrefillRate,  // nobody else has to wait for the step: as many as it may have
  kDefault,      // as many as engine.chunk_tokens says
  kLatency,      // fewer, for engine.step_target_ms
  kTight,        // the fewest that are computed at once; they may take longer than that
};
constexpr std::string_view RowsChoiceName(RowsChoice c) {
  switch (c) {
    case RowsChoice::kDecode:
      return "decode";
    case RowsChoice::kPrefillRate:
      return "prefill rate";
    case RowsChoice::kDefault:
      return "default";
    case RowsChoice::kLatency:
      return "latency";
    case RowsChoice::kTight:
      return "tight";
  }
  return "";
}

// The step size that the scheduler has last chosen for prompts beside sequences that decode.
struct StepReport {
  int rows = 0;  // at most, those that decode included
  RowsChoice choice = RowsChoice::kDefault;
  double predicted_ms = 0;  // of a step of so many rows
  double decode_ms = 0;     // predicted without the prompts' rows
  bool operator==(const StepReport&) const = default;
};

struct WireReport {
  WorkerId to;
  std::string wire;
  double gigabytes_per_second = 0;
};

// Sent when something changed, at most every 100 ms, and at least every second. Counters are since start.
struct WorkerReport {
  WorkerRole role = WorkerRole::kMixed;
  WorkerState state = WorkerState::kReady;
  int running = 0;  // sequences
  int waiting = 0;  // requests
  int queued_prefill_tokens = 0;
  KvCounts kv;
  uint64_t steps = 0;
  uint64_t prompt_tokens_computed = 0;
  uint64_t prompt_tokens_cached = 0;
  uint64_t recomputed_tokens = 0;  // after preemption
  uint64_t generation_tokens = 0;
  uint64_t preemptions = 0;
  uint64_t handoffs_started = 0, handoffs_completed = 0, handoffs_failed = 0;
  uint64_t handoffs_recomputed = 0;   // started again because their KV arrived damaged twice
  uint64_t handoff_bytes = 0;         // first sends of KV blocks
  uint64_t handoff_bytes_resent = 0;  // after a bad checksum
  std::vector<WireReport> wires;
  std::optional<StepReport> step;
  std::optional<GpuReading> gpu;  // of a worker on a GPU whose driver says something
};

// One message per engine step with everything that has accumulated.
struct FromWorker {
  std::optional<WorkerHello> hello;
  std::vector<TokenDelta> deltas;
  std::vector<RequestEnded> ended;
  std::optional<WorkerReport> report;
};

}  // namespace tokenworks
