// SPDX-License-Identifier: Apache-2.0
// What the result of a step brings about.
#include <algorithm>

#include "engine/scheduler/state.h"
#include "platform/base/check.h"

namespace tokenworks::scheduler {

using kv_cache::Use;

InFlight Scheduler::State::TakeOldest(uint64_t plan) {
  TW_CHECK(!in_flight.empty() && in_flight.front().plan == plan,
           "an answer to a plan that is not the oldest in flight");
  InFlight flight = std::move(in_flight.front());
  in_flight.erase(in_flight.begin());
  for (const auto& [block, use] : flight.sources) pool.Drop(block, use);
  for (const PlannedItem& item : flight.items) {
    Sequence& s = Find(item.request)->sequences[item.sequence];
    --s.in_flight;
    s.rows_ahead -= item.rows;
    s.draws_ahead -= item.samples;
  }
  return flight;
}

void Scheduler::State::CountRows(const InFlight& flight, TimePoint now) {
  for (const PlannedItem& item : flight.items) {
    Resident& r = *Find(item.request);
    if (r.failed) continue;
    Sequence& s = r.sequences[item.sequence];
    const int again = std::clamp(s.recompute_below - s.computed, 0, item.rows);
    recomputed_tokens += again;
    const int prompt_rows = std::clamp(static_cast<int>(r.request.prompt.size()) - s.computed, 0, item.rows);
    prompt_tokens_computed += std::max(0, prompt_rows - again);
    s.computed = std::min(s.computed + item.rows, s.total());  // less when a token ahead of it was not wanted any more
    RegisterFullBlocks(s);
    if (item.samples && !r.prompt_done) {
      r.prompt_done = true;
      r.first_token = now;
    }
    if (item.samples) ForkFollowers(r, s);
  }
}

void Scheduler::State::Emit(const StepSample& sample, std::unordered_map<RequestId, PrefillDone>& done) {
  Resident* r = Find(sample.sequence.request);
  if (r == nullptr || r->ending) return;
  Sequence& s = r->sequences[sample.sequence.index];
  if (s.phase == SequencePhase::kFinished) return;
  for (const SampledToken& token : sample.tokens) {
    if (s.stopping) return;
    const uint32_t position = static_cast<uint32_t>(s.outputs);
    const FinishReason finish = Append(*r, s, token);
    if (const auto it = done.find(r->request.id); it != done.end()) {
      it->second.first_tokens[s.index] = token;
      it->second.ended[s.index] = finish != FinishReason::kNone;
    }
    if (finish != FinishReason::kNone) s.stopping = true;
    output.deltas.push_back({r->request.id, r->request.epoch, s.index, position, {token}, finish});
  }
}

void Scheduler::State::HoldForPeer(Resident& r, PrefillDone done) {
  for (Sequence& s : r.sequences) {  // blocks stay until the peer has acknowledged
    if (s.phase == SequencePhase::kFinished) continue;
    StopRunning(r, s.index);
    if (s.opened) pending_ends.push_back({r.request.id, s.index});
    s.opened = false;
    s.phase = SequencePhase::kHeld;
    for (const BlockId b : s.blocks) pool.Move(b, r.use, Use::kSending);
  }
  r.use = Use::kSending;
  output.prefill_done.push_back(std::move(done));
}

void Scheduler::Complete(const StepResult& result, TimePoint now) {
  State& st = *state_;
  const InFlight flight = st.TakeOldest(result.plan);
  st.time_model.Observe(flight.rows, result.duration);
  st.CountRows(flight, now);  // before the samples: a leader's followers fork from complete blocks
  std::unordered_map<RequestId, PrefillDone> done;  // hand-off requests whose prompt is done with this step
  std::vector<RequestId> first;                     // the same, in order
  for (const PlannedItem& item : flight.items) {
    const Resident* r = st.Find(item.request);
    if (r == nullptr || !item.samples || r->route != Route::kHandoff) continue;
    first.push_back(item.request);
    const size_t n = r->sequences.size();
    done[item.request] = {item.request, std::vector<SampledToken>(n), std::vector<bool>(n, true)};
  }
  for (const StepSample& sample : result.samples) st.Emit(sample, done);
  for (const RequestId& id : first)
    if (Resident& r = *st.Find(id); !r.ending) st.HoldForPeer(r, std::move(done[id]));
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
  const InFlight flight = st.TakeOldest(plan);
  for (const PlannedItem& item : flight.items)
    if (Resident* r = st.Find(item.request)) {
      r->failed = true;
      st.End(*r, status, now);
    }
}

}  // namespace tokenworks::scheduler
