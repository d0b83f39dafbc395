// SPDX-License-Identifier: Apache-2.0
// Continuous batching over paged KV: which sequences run how many tokens in the next step.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tokenworks/clock.h"
#include "tokenworks/executor.h"
#include "tokenworks/generation_request.h"
#include "tokenworks/status.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::scheduler {

// A plan runs ahead of one other at most: its pending tokens are those that the plan before draws.
inline constexpr int kMaxDepth = 2;

struct SchedulerOptions {
  int kv_blocks = 0;
  int context_length = 0;                                // prompt + output of one sequence never exceed it
  std::vector<TokenId> end_tokens;                       // the model's own
  std::string model_fingerprint;                         // seeds the block keys
  int step_rows_max = 512;                               // rows of one step (decode rows + chunk rows)
  int chunk_tokens_max = 512;                            // rows of one sequence in one step; see step_rows.h for a GPU
  int running_max = 256;                                 // sequences resident at once
  int waiting_max = 512;                                 // requests in the queue; over it Admit says ResourceExhausted
  Duration step_target = std::chrono::milliseconds(50);  // predicted, while anything waits
  bool prefix_cache = true;
  int depth = 1;        // plans in flight, up to kMaxDepth
  int row_quantum = 1;  // ExecutorInfo's; more than 1: a GPU
};

// Blocks of one hand-off request that are complete once a plan has run (all of them at the end of the prompt,
// the partial tail included). The worker pushes layer group by layer group as the executor reports it.
struct PlannedPush {
  RequestId request;
  std::vector<std::pair<int, BlockId>> blocks;  // (ordinal in the prompt, block)
};

struct PlannedStep {
  StepPlan plan;
  std::vector<PlannedPush> pushes;
  RowsChoice choice = RowsChoice::kDecode;
};

// A hand-off request whose first tokens are sampled; its blocks stay until EndHandoff.
struct PrefillDone {
  RequestId request;
  std::vector<SampledToken> first_tokens;  // one per sequence still wanted; ended ones are marked
  std::vector<bool> ended;                 // this sequence finished with its first token
};

// What the calls since the last Take have brought about, in order.
struct SchedulerOutput {
  std::vector<TokenDelta> deltas;
  std::vector<RequestEnded> ended;
  std::vector<RequestId> wants_reservation;  // kHandoff requests that are next in the queue; said once each
  std::vector<PrefillDone> prefill_done;
};

struct Reservation {
  std::vector<BlockId> blocks;  // the prompt's blocks + 1, in order
  int cached_blocks = 0;        // leading ones that the prefix cache already holds: not to be sent
};

// A plain state machine: no threads, no clock, no I/O. Owned by the worker's control thread.
// Invariant: every block of the pool has one state and the counts add up to kv_blocks (checked on each step);
// blocks of a plan in flight are never released before its Complete.
class Scheduler {
 public:
  explicit Scheduler(SchedulerOptions options);
  ~Scheduler();

  // Queues a request. InvalidArgument: prompt (or prompt + 1) over the context; ResourceExhausted: queue full.
  Status Admit(GenerationRequest request, Route route, TimePoint now);

  // Prefill side of a hand-off. Grant: the decode worker holds blocks; its first `cached_blocks` need no sending.
  // Returns the already cached blocks of our own that can be pushed at once, whole (ordinal >= cached_blocks).
  PlannedPush Grant(RequestId request, int cached_blocks, TimePoint now);
  // Ends the request on this side: after the peer's ack (ok), or with the failure. Blocks become cached or free.
  void EndHandoff(RequestId request, Status status, TimePoint now);

  // A hand-off request whose prompt is done goes back to the queue: its blocks and what the prefix cache knows of
  // them are given up, and the same tokens come out again. Unknown ids are ignored.
  void Recompute(RequestId request);

  // Decode side. ResourceExhausted: not now (try again when blocks free up); InvalidArgument: never.
  StatusOr<Reservation> Reserve(GenerationRequest request, TimePoint now);
  // All KV has arrived and was verified: the sequences run from their first tokens on (these were already
  // emitted by the prefill worker, positions emitted.size()). `ended[i]`: sequence i finished with it.
  // False when the request is not here any more.
  bool Activate(RequestId request, const std::vector<SampledToken>& first_tokens, const std::vector<bool>& ended,
                TimePoint now);

  // A reservation that will not be used: its blocks return, and no RequestEnded is said.
  void DropReservation(RequestId request);

  // Marks; blocks return when no plan in flight uses them. Unknown ids are ignored. A reservation is dropped.
  // kStopString on one sequence finishes it quietly (no delta); a whole request ends with a Cancelled status.
  void Cancel(RequestId request, std::optional<uint32_t> sequence, CancelReason reason, TimePoint now);

  void SetRole(WorkerRole role);
  WorkerRole role() const;

  // The next step, or nothing to do. At most `depth` plans in flight (the caller counts).
  std::optional<PlannedStep> Plan(TimePoint now);
  // The oldest plan's result. A failed plan ends its requests with `status`.
  void Complete(const StepResult& result, TimePoint now);
  void Fail(uint64_t plan, const Status& status, TimePoint now);

  SchedulerOutput TakeOutput();

  // Fills what the scheduler knows: role, running, waiting, queued_prefill_tokens, kv (with `leaked` from an
  // independent walk over all owners), prompt_tokens_*, recomputed_tokens, generation_tokens, preemptions, step.
  void Report(WorkerReport& report) const;
  // Nothing waiting, running, reserved or handed off.
  bool idle() const;

  // Takes a block that no owner knows: Report must then show leaked = 1.
  void LeakBlockForTest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tokenworks::scheduler
