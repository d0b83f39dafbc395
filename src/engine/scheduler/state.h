// SPDX-License-Identifier: Apache-2.0
// The scheduler's state and the operations that its events share. Private to this folder.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/kv_cache/block_pool.h"
#include "engine/scheduler/resident.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/step_rows.h"
#include "engine/scheduler/step_time_model.h"

namespace tokenworks::scheduler {

struct PlannedItem {
  RequestId request;
  uint32_t sequence;
  int rows;
  bool prefill, samples;
};

struct InFlight {
  uint64_t plan;
  std::vector<PlannedItem> items;
  int rows = 0;
  std::vector<std::pair<BlockId, kv_cache::Use>> sources;  // of its copies, held until it is completed
};

struct Scheduler::State {
  explicit State(SchedulerOptions o) : options(std::move(o)), pool(options.kv_blocks) {}

  SchedulerOptions options;
  kv_cache::BlockPool pool;
  WorkerRole role = WorkerRole::kMixed;
  StepTimeModel time_model{options.row_quantum};
  std::optional<StepReport> mixed;  // of the last step with chunks beside rows that decode, as predicted when planned
  std::unordered_map<RequestId, std::unique_ptr<Resident>> residents;
  // Sequences that wait for blocks: (priority, preempted first, arrival, index) -> sequence.
  using QueueKey = std::tuple<int, int, uint64_t, uint32_t>;
  std::map<QueueKey, std::pair<Resident*, uint32_t>> waiting;
  std::vector<std::pair<Resident*, uint32_t>> running;  // in order of admission
  std::vector<InFlight> in_flight;
  std::vector<SequenceId> pending_ends;
  SchedulerOutput output;
  uint64_t next_order = 0, next_plan = 1;
  uint64_t prompt_tokens_computed = 0, prompt_tokens_cached = 0, recomputed_tokens = 0, generation_tokens = 0,
           preemptions = 0;

  Resident* Find(RequestId id);
  // InvalidArgument: the prompt and one token are more than the context or the pool holds.
  Status CheckFits(const GenerationRequest& request) const;
  Resident& Insert(GenerationRequest request, Route route, TimePoint now);
  void Enqueue(Resident& r, uint32_t sequence, bool preempted);
  void Dequeue(Resident& r, uint32_t sequence);
  void StopRunning(Resident& r, uint32_t sequence);

  // Blocks of one sequence back to the pool.
  void ReleaseBlocks(Resident& r, Sequence& s);
  // Leading blocks that the prefix cache holds, as a held block table; at most (total - 1) / 16.
  int MatchPrefix(Sequence& s, kv_cache::Use use);
  void RegisterFullBlocks(Sequence& s);
  // Takes new blocks until the table covers `positions`; false (and nothing taken) when the pool cannot.
  bool Grow(Resident& r, Sequence& s, int positions);
  int BlocksFor(int positions) const { return (positions + kBlockTokens - 1) / kBlockTokens; }

  // Appends a sampled token and says why the sequence has ended with it (kNone: it has not).
  FinishReason Append(Resident& r, Sequence& s, const SampledToken& token);
  void FinishSequence(Resident& r, Sequence& s);
  // FinishSequence for one that goes while the others stay: if they waited for its prompt, the next one computes it.
  void Leave(Resident& r, Sequence& s);
  void EndIfFinished(Resident& r, TimePoint now);
  // Ends the whole request with a status, now or when its plan comes back.
  void End(Resident& r, Status status, TimePoint now, bool handed_off = false);
  void Erase(Resident& r, bool handed_off, TimePoint now);
  void ForkFollowers(Resident& r, Sequence& leader);

  // complete.cc
  InFlight TakeOldest(uint64_t plan);
  // Rows that were computed: positions, full blocks, followers of a leader whose prompt is done.
  void CountRows(const InFlight& flight, TimePoint now);
  // Sampled tokens become deltas; those of a request in `done` are its first ones.
  void Emit(const StepSample& sample, std::unordered_map<RequestId, PrefillDone>& done);
  void HoldForPeer(Resident& r, PrefillDone done);

  // planning.cc
  bool Preempt(const Resident* except_request, uint32_t except_sequence);
  void AskForReservations();
  bool Admit(Resident& r, Sequence& s, TimePoint now);
  // Sequences that have, or are about to have, a row in every step.
  int LiveSequences() const;
  // Nobody before the request waits for blocks; those who wait for their peer's do not count.
  bool IsNext(const Resident& r) const;
  // One waiting sequence of the request and those that follow it would not be too many.
  bool MayBeAdmitted(const Resident& r) const;
  // The sequence may have a row in the next plan, whatever the plans in flight bring.
  bool MayBePlanned(const Resident& r, const Sequence& s) const;
};

}  // namespace tokenworks::scheduler
