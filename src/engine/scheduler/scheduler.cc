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

namespace {

Status CheckFits(const GenerationRequest& request, int context_length, int kv_blocks) {
  if (request.prompt.empty() || request.n == 0) return absl::InvalidArgumentError("a request needs a prompt and at least one sequence");
  const int prompt = static_cast<int>(request.prompt.size());
  if (prompt + 1 > context_length || (prompt + kBlockTokens) / kBlockTokens > kv_blocks)
    return absl::InvalidArgumentError(StrCat("a prompt of ", prompt, " tokens does not fit: this worker's maximum context length is ", context_length, " tokens"));
  return OkStatus();
}

}  // namespace

Status Scheduler::Admit(GenerationRequest request, Route route, TimePoint now) {
  State& st = *state_;
  TW_RETURN_IF_ERROR(CheckFits(request, st.options.context_length, st.options.kv_blocks));
  if (st.residents.contains(request.id)) return absl::AlreadyExistsError("a request of this id is already here");
  if (static_cast<int>(st.waiting.size()) >= st.options.waiting_max)
    return absl::ResourceExhaustedError(StrCat("the worker's queue of ", st.options.waiting_max, " requests is full"));
  Resident& r = st.Insert(std::move(request), route, now);
  const bool shared_prompt = r.request.emitted.empty();
  for (Sequence& s : r.sequences) {
    if (s.index == 0 || !shared_prompt) st.Enqueue(r, s.index, false);
    else s.phase = SequencePhase::kFollowing;
  }
  return OkStatus();
}

PlannedPush Scheduler::Grant(RequestId request, int cached_blocks, TimePoint now) {
  (void)now;
  State& st = *state_;
  PlannedPush push{request, {}};
  Resident* r = st.Find(request);
  if (r == nullptr || r->ending) return push;
  r->granted = true;
  r->first_push = cached_blocks;
  const auto waiting = std::find_if(r->sequences.begin(), r->sequences.end(), [](const Sequence& s) { return s.phase == SequencePhase::kWaiting; });
  Sequence& leader = waiting == r->sequences.end() ? r->sequences[0] : *waiting;
  // What is computed already: everything when the prompt is done, cached prefix blocks before it has begun.
  const int ready = r->prompt_done ? st.BlocksFor(static_cast<int>(r->request.prompt.size())) : 0;
  for (int i = cached_blocks; i < ready; ++i) push.blocks.emplace_back(i, leader.blocks[i]);
  if (!r->prompt_done && leader.phase == SequencePhase::kWaiting && st.Admit(*r, leader, now))
    for (int i = cached_blocks; i < leader.registered; ++i) push.blocks.emplace_back(i, leader.blocks[i]);
  return push;
}

void Scheduler::EndHandoff(RequestId request, Status status, TimePoint now) {
  State& st = *state_;
  Resident* r = st.Find(request);
  if (r == nullptr) return;
  const bool more = std::any_of(r->sequences.begin(), r->sequences.end(), [](const Sequence& s) { return !s.stopping && s.phase != SequencePhase::kFinished; });
  const bool handed_off = status.ok() && r->prompt_done && more;
  st.End(*r, std::move(status), now, handed_off);
}

void Scheduler::Recompute(RequestId request) {
  State& st = *state_;
  Resident* r = st.Find(request);
  if (r == nullptr || r->ending || r->route != Route::kHandoff || !r->prompt_done) return;
  for (Sequence& s : r->sequences)
    if (s.stopping && s.phase == SequencePhase::kHeld) st.FinishSequence(*r, s);
  const size_t prompt = r->request.prompt.size();
  bool leader = true;
  for (Sequence& s : r->sequences) {
    if (s.phase != SequencePhase::kHeld) continue;
    for (const BlockId b : s.blocks) st.pool.Forget(b);
    st.ReleaseBlocks(*r, s);
    const size_t emitted = s.index < r->request.emitted.size() ? r->request.emitted[s.index].size() : 0;
    s.tokens.resize(prompt + emitted);
    s.outputs = static_cast<int>(emitted);
    s.recompute_below = s.total();
    s.phase = SequencePhase::kFollowing;
    if (leader || !r->request.emitted.empty()) st.Enqueue(*r, s.index, true);
    leader = false;
  }
  r->prompt_done = r->wanted_reservation = r->granted = false;
  r->first_push = 0;
  r->use = Use::kActive;
}

StatusOr<Reservation> Scheduler::Reserve(GenerationRequest request, TimePoint now) {
  State& st = *state_;
  TW_RETURN_IF_ERROR(CheckFits(request, st.options.context_length, st.options.kv_blocks));
  if (st.residents.contains(request.id)) return absl::AlreadyExistsError("a request of this id is already here");
  if (st.residents.size() >= static_cast<size_t>(st.options.running_max)) return absl::ResourceExhaustedError("the worker has as many requests as it may hold");
  const RequestId id = request.id;
  Resident& r = st.Insert(std::move(request), Route::kLocal, now);
  r.decode_side = true;
  r.use = Use::kReserved;
  Sequence& s = r.sequences[0];
  Reservation reservation;
  reservation.cached_blocks = st.MatchPrefix(s, r.use);
  // The prompt's blocks and one to decode into, unless that is already the whole pool.
  const int positions = std::min((st.BlocksFor(s.total()) + 1) * kBlockTokens, st.options.kv_blocks * kBlockTokens);
  if (!st.Grow(r, s, positions)) {
    st.ReleaseBlocks(r, s);
    st.residents.erase(id);
    return absl::ResourceExhaustedError(StrCat("no ", st.BlocksFor(positions), " KV blocks are free now"));
  }
  for (Sequence& q : r.sequences) q.phase = SequencePhase::kHeld;
  reservation.blocks = s.blocks;
  r.cached_tokens = reservation.cached_blocks * kBlockTokens;
  return reservation;
}

bool Scheduler::Activate(RequestId request, const std::vector<SampledToken>& first_tokens, const std::vector<bool>& ended, TimePoint now) {
  State& st = *state_;
  Resident* r = st.Find(request);
  if (r == nullptr || r->ending) return false;
  Sequence& leader = r->sequences[0];
  for (const BlockId b : leader.blocks) st.pool.Move(b, Use::kReserved, Use::kActive);
  r->use = Use::kActive;
  r->prompt_done = r->has_started = true;
  r->started = r->first_token = now;
  leader.computed = leader.total();
  st.RegisterFullBlocks(leader);
  const std::vector<BlockId> table(leader.blocks.begin(), leader.blocks.begin() + st.BlocksFor(leader.computed));
  const int computed = leader.computed;
  for (Sequence& s : r->sequences) {
    if (s.index != 0) {
      s.blocks = table;
      for (const BlockId b : s.blocks) st.pool.Hold(b, r->use);
      s.computed = computed;
      s.registered = leader.registered;
      s.last_key = leader.last_key;
    }
    s.tokens.push_back(first_tokens[s.index].token);
    ++s.outputs;
    s.phase = SequencePhase::kRunning;
    st.running.emplace_back(r, s.index);
  }
  for (Sequence& s : r->sequences)
    if (ended[s.index] || s.stopping) st.FinishSequence(*r, s);
  st.EndIfFinished(*r, now);
  return true;
}

void Scheduler::DropReservation(RequestId request) {
  State& st = *state_;
  Resident* r = st.Find(request);
  if (r == nullptr || !r->decode_side || r->prompt_done) return;
  for (Sequence& s : r->sequences) st.FinishSequence(*r, s);
  st.residents.erase(request);
}

void Scheduler::Cancel(RequestId request, std::optional<uint32_t> sequence, CancelReason reason, TimePoint now) {
  State& st = *state_;
  Resident* r = st.Find(request);
  if (r == nullptr) return;
  if (!sequence.has_value()) {
    st.End(*r, reason == CancelReason::kDeadline ? absl::DeadlineExceededError("the request's deadline passed") : absl::CancelledError("the request was cancelled"), now);
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

void Scheduler::Complete(const StepResult& result, TimePoint now) {
  State& st = *state_;
  TW_CHECK(!st.in_flight.empty() && st.in_flight.front().plan == result.plan, "a result of a plan that is not the oldest in flight");
  const InFlight flight = std::move(st.in_flight.front());
  st.in_flight.erase(st.in_flight.begin());
  st.time_model.Observe(flight.rows, result.duration);
  // Positions first, then samples: a leader's followers fork from complete blocks.
  for (const PlannedItem& item : flight.items) {
    Resident& r = *st.Find(item.request);
    Sequence& s = r.sequences[item.sequence];
    s.in_flight = false;
    const int again = std::clamp(s.recompute_below - s.computed, 0, item.rows);
    st.recomputed_tokens += again;
    const int prompt_rows = std::clamp(static_cast<int>(r.request.prompt.size()) - s.computed, 0, item.rows);
    st.prompt_tokens_computed += std::max(0, prompt_rows - again);
    s.computed += item.rows;
    st.RegisterFullBlocks(s);
    if (item.samples && !r.prompt_done) {
      r.prompt_done = true;
      r.first_token = now;
    }
    if (item.samples) st.ForkFollowers(r, s);
  }
  std::vector<RequestId> first;  // hand-off requests whose prompt is done with this step
  for (const PlannedItem& item : flight.items) {
    Resident* r = st.Find(item.request);
    if (r != nullptr && item.samples && r->route == Route::kHandoff) first.push_back(item.request);
  }
  std::unordered_map<RequestId, PrefillDone> done;
  for (const RequestId& id : first) {
    const Resident& r = *st.Find(id);
    done[id] = {id, std::vector<SampledToken>(r.sequences.size()), std::vector<bool>(r.sequences.size(), true)};
  }
  for (const StepSample& sample : result.samples) {
    Resident* r = st.Find(sample.sequence.request);
    if (r == nullptr || r->ending) continue;
    Sequence& s = r->sequences[sample.sequence.index];
    if (s.phase == SequencePhase::kFinished) continue;
    for (const SampledToken& token : sample.tokens) {
      if (s.stopping) break;
      TokenDelta delta{r->request.id, r->request.epoch, s.index, static_cast<uint32_t>(s.outputs), {token}, FinishReason::kNone};
      delta.finish = st.Append(*r, s, token);
      if (const auto it = done.find(r->request.id); it != done.end()) {
        it->second.first_tokens[s.index] = token;
        it->second.ended[s.index] = delta.finish != FinishReason::kNone;
      }
      if (delta.finish != FinishReason::kNone) s.stopping = true;
      st.output.deltas.push_back(std::move(delta));
    }
  }
  for (const RequestId& id : first) {
    Resident& r = *st.Find(id);
    if (r.ending) continue;
    for (Sequence& s : r.sequences) {  // blocks stay until the peer has acknowledged
      if (s.phase == SequencePhase::kFinished) continue;
      st.StopRunning(r, s.index);
      if (s.opened) st.pending_ends.push_back({id, s.index});
      s.opened = false;
      s.phase = SequencePhase::kHeld;
      for (const BlockId b : s.blocks) st.pool.Move(b, r.use, Use::kSending);
    }
    r.use = Use::kSending;
    st.output.prefill_done.push_back(std::move(done[id]));
  }
  for (const PlannedItem& item : flight.items) {
    Resident* r = st.Find(item.request);
    if (r == nullptr) continue;
    if (r->ending) {
      st.End(*r, r->status, now);
      continue;
    }
    for (Sequence& s : r->sequences)
      if (s.stopping && !s.in_flight && s.phase == SequencePhase::kRunning) st.Leave(*r, s);
    st.EndIfFinished(*r, now);
  }
}

void Scheduler::Fail(uint64_t plan, const Status& status, TimePoint now) {
  State& st = *state_;
  TW_CHECK(!st.in_flight.empty() && st.in_flight.front().plan == plan, "a failure of a plan that is not the oldest in flight");
  const InFlight flight = std::move(st.in_flight.front());
  st.in_flight.erase(st.in_flight.begin());
  for (const PlannedItem& item : flight.items) st.Find(item.request)->sequences[item.sequence].in_flight = false;
  for (const PlannedItem& item : flight.items)
    if (Resident* r = st.Find(item.request)) st.End(*r, status, now);
}

SchedulerOutput Scheduler::TakeOutput() { return std::exchange(state_->output, {}); }

void Scheduler::Report(WorkerReport& report) const {
  const State& st = *state_;
  report.role = st.role;
  report.running = static_cast<int>(st.running.size());
  report.waiting = static_cast<int>(st.waiting.size());
  report.queued_prefill_tokens = 0;
  for (const auto& [key, entry] : st.waiting) report.queued_prefill_tokens += entry.first->sequences[entry.second].missing();
  report.kv = st.pool.Counts();
  // An independent walk: what the owners hold, block by block, against what the pool believes.
  std::vector<int> held(st.options.kv_blocks);
  for (const auto& [id, r] : st.residents)
    for (const Sequence& s : r->sequences)
      for (const BlockId b : s.blocks) ++held[b];
  for (BlockId b = 0; b < st.options.kv_blocks; ++b) report.kv.leaked += held[b] != st.pool.holders(b);
  report.prompt_tokens_computed = st.prompt_tokens_computed;
  report.prompt_tokens_cached = st.prompt_tokens_cached;
  report.recomputed_tokens = st.recomputed_tokens;
  report.generation_tokens = st.generation_tokens;
  report.preemptions = st.preemptions;
}

void Scheduler::LeakBlockForTest() { state_->pool.Allocate(Use::kActive); }

}  // namespace tokenworks::scheduler
