// SPDX-License-Identifier: Apache-2.0
#include "engine/scheduler/scheduler.h"

#include <algorithm>

#include "engine/scheduler/state.h"
#include "platform/base/check.h"
#include "platform/base/str_cat.h"

namespace tokenworks::scheduler {

using base::StrCat;
using kv_cache::Use;

Scheduler::Scheduler(SchedulerOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Scheduler::~Scheduler() = default;

void Scheduler::SetRole(WorkerRole role) { state_->role = role; }
WorkerRole Scheduler::role() const { return state_->role; }
bool Scheduler::idle() const { return state_->residents.empty(); }

Status Scheduler::Admit(GenerationRequest request, Route route, TimePoint now) {
  State& st = *state_;
  TW_RETURN_IF_ERROR(st.CheckFits(request));
  if (st.residents.contains(request.id)) return absl::AlreadyExistsError("a request of this id is already here");
  if (static_cast<int>(st.waiting.size()) >= st.options.waiting_max)
    return absl::ResourceExhaustedError(StrCat("the worker's queue of ", st.options.waiting_max, " requests is full"));
  Resident& r = st.Insert(std::move(request), route, now);
  const bool shared_prompt = r.request.emitted.empty();
  for (Sequence& s : r.sequences) {
    if (s.index == 0 || !shared_prompt)
      st.Enqueue(r, s.index, false);
    else
      s.phase = SequencePhase::kFollowing;
  }
  return OkStatus();
}

void Scheduler::Cancel(RequestId request, std::optional<uint32_t> sequence, CancelReason reason, TimePoint now) {
  State& st = *state_;
  Resident* r = st.Find(request);
  if (r == nullptr) return;
  if (!sequence.has_value()) {
    st.End(*r,
           reason == CancelReason::kDeadline ? absl::DeadlineExceededError("the request's deadline passed")
                                             : absl::CancelledError("the request was cancelled"),
           now);
    return;
  }
  if (*sequence >= r->sequences.size()) return;
  Sequence& s = r->sequences[*sequence];
  if (s.in_flight || s.phase == SequencePhase::kHeld) {  // held: Activate or EndHandoff will drop it
    s.stopping = true;
    return;
  }
  st.Leave(*r, s);
  st.EndIfFinished(*r, now);
}

SchedulerOutput Scheduler::TakeOutput() { return std::exchange(state_->output, {}); }

void Scheduler::Report(WorkerReport& report) const {
  const State& st = *state_;
  report.role = st.role;
  report.running = static_cast<int>(st.running.size());
  report.waiting = static_cast<int>(st.waiting.size());
  report.queued_prefill_tokens = 0;
  for (const auto& [key, entry] : st.waiting)
    report.queued_prefill_tokens += entry.first->sequences[entry.second].missing();
  report.kv = st.pool.Counts();
  // An independent walk: what the owners hold, block by block, against what the pool believes.
  std::vector<int> held(st.options.kv_blocks);
  for (const auto& [id, r] : st.residents)
    for (const Sequence& s : r->sequences)
      for (const BlockId b : s.blocks) ++held[b];
  for (const InFlight& flight : st.in_flight)
    for (const auto& [block, use] : flight.sources) ++held[block];
  for (BlockId b = 0; b < st.options.kv_blocks; ++b) report.kv.leaked += held[b] != st.pool.holders(b);
  report.prompt_tokens_computed = st.prompt_tokens_computed;
  report.prompt_tokens_cached = st.prompt_tokens_cached;
  report.recomputed_tokens = st.recomputed_tokens;
  report.generation_tokens = st.generation_tokens;
  report.preemptions = st.preemptions;
  report.step = st.mixed;
}

void Scheduler::LeakBlockForTest() { state_->pool.Allocate(Use::kActive); }

}  // namespace tokenworks::scheduler
