// SPDX-License-Identifier: Apache-2.0
// Building the next step.
#include <algorithm>

#include "engine/scheduler/state.h"
#include "platform/base/check.h"

namespace tokenworks::scheduler {
namespace {

constexpr int kReservationsAhead = 2;  // hand-off requests that wait for their reservation at once

// The step under construction.
struct Builder {
  PlannedStep step;
  InFlight flight;
  int rows_left;
};

void AddItem(Builder& b, Resident& r, Sequence& s, int rows) {
  StepItem item;
  const int first_row = s.planned();
  const bool pending = first_row == s.total();
  item.first_position = first_row;
  if (pending)
    item.tokens = {kPendingToken};
  else
    item.tokens.assign(s.tokens.begin() + first_row, s.tokens.begin() + first_row + rows);
  item.blocks = s.blocks;
  item.is_prefill = rows > 1 || (s.outputs == 0 && !pending) || first_row < s.recompute_below;
  const bool samples = first_row + rows == s.planned_total();
  if (samples) {
    const auto sample = [&](Sequence& q) {
      const SequenceId id{r.request.id, q.index};
      item.samples.push_back(id);
      if (q.opened) return;
      q.opened = true;
      b.step.plan.starts.push_back(
          {id, r.request.sampling, r.request.prompt, std::vector<TokenId>(q.tokens.end() - q.outputs, q.tokens.end())});
    };
    sample(s);
    for (Sequence& q : r.sequences)
      if (q.phase == SequencePhase::kFollowing) sample(q);
  }
  if (r.route == Route::kHandoff && !r.prompt_done) {
    PlannedPush push{r.request.id, {}};
    const int last = samples ? (s.total() + kBlockTokens - 1) / kBlockTokens : (first_row + rows) / kBlockTokens;
    for (; r.pushed < last; ++r.pushed) push.blocks.emplace_back(r.pushed, s.blocks[r.pushed]);
    if (!push.blocks.empty()) b.step.pushes.push_back(std::move(push));
  }
  ++s.in_flight;
  s.rows_ahead += rows;
  s.draws_ahead += samples;
  b.flight.items.push_back({r.request.id, s.index, rows, item.is_prefill, samples});
  b.flight.rows += rows;
  b.rows_left -= rows;
  b.step.plan.items.push_back(std::move(item));
}

}  // namespace

// Takes the blocks of the least urgent running sequence (lowest priority, then latest); it is computed again later.
bool Scheduler::State::Preempt(const Resident* except_request, uint32_t except_sequence) {
  std::pair<Resident*, uint32_t> victim{nullptr, 0};
  for (const auto& [r, i] : running) {
    const bool pushing = r->route == Route::kHandoff && r->granted;  // its blocks may wait for their turn on the wire
    if (pushing || r->sequences[i].in_flight || (r == except_request && i == except_sequence)) continue;
    if (victim.first == nullptr || std::tuple(r->request.priority, r->order, i) >
                                       std::tuple(victim.first->request.priority, victim.first->order, victim.second))
      victim = {r, i};
  }
  if (victim.first == nullptr) return false;
  Resident& r = *victim.first;
  Sequence& s = r.sequences[victim.second];
  s.recompute_below = std::max(s.recompute_below, s.computed);
  StopRunning(r, s.index);
  ReleaseBlocks(r, s);
  Enqueue(r, s.index, true);
  ++preemptions;
  return true;
}

void Scheduler::State::AskForReservations() {
  int ahead = 0;
  for (const auto& [key, entry] : waiting) {
    Resident& r = *entry.first;
    if (r.route != Route::kHandoff || r.granted || r.ending) continue;
    if (++ahead > kReservationsAhead) return;
    if (r.wanted_reservation) continue;
    r.wanted_reservation = true;
    output.wants_reservation.push_back(r.request.id);
  }
}

int Scheduler::State::LiveSequences() const {
  int live = 0;
  for (const auto& [id, r] : residents) {
    const bool led = std::any_of(r->sequences.begin(), r->sequences.end(),
                                 [](const Sequence& s) { return s.phase == SequencePhase::kRunning; });
    for (const Sequence& s : r->sequences)
      live += s.phase == SequencePhase::kRunning || (s.phase == SequencePhase::kHeld && r->decode_side) ||
              (s.phase == SequencePhase::kFollowing && led);
  }
  return live;
}

bool Scheduler::State::IsNext(const Resident& r) const {
  for (const auto& [key, entry] : waiting) {
    if (entry.first == &r) return true;
    if (entry.first->route != Route::kHandoff || entry.first->granted) return false;
  }
  return true;
}

bool Scheduler::State::MayBeAdmitted(const Resident& r) const {
  const auto follows = [](const Sequence& s) { return s.phase == SequencePhase::kFollowing; };
  const auto more = 1 + std::count_if(r.sequences.begin(), r.sequences.end(), follows);
  return LiveSequences() + static_cast<int>(more) <= options.running_max;
}

// Gives a waiting sequence its blocks; false when the pool cannot hold it now.
bool Scheduler::State::Admit(Resident& r, Sequence& s, TimePoint now) {
  const int cached = MatchPrefix(s, r.use);
  const int wanted = BlocksFor(s.total()) - static_cast<int>(s.blocks.size());
  const bool alone = running.empty();
  if (wanted + (alone ? 0 : 1) > pool.available() || !Grow(r, s, s.total())) {
    ReleaseBlocks(r, s);
    return false;
  }
  Dequeue(r, s.index);
  s.phase = SequencePhase::kRunning;
  running.emplace_back(&r, s.index);
  if (!r.has_started) {
    r.has_started = true;
    r.started = now;
    r.cached_tokens = cached * kBlockTokens;
    prompt_tokens_cached += r.cached_tokens;
  }
  return true;
}

bool Scheduler::State::MayBePlanned(const Resident& r, const Sequence& s) const {
  if (r.ending || s.stopping || s.in_flight >= options.depth) return false;
  if (s.draws_ahead == 0) return true;
  // A token is being drawn: perhaps the last one, one that others fork at, or the first one, from which a peer goes on.
  const auto follows = [](const Sequence& q) { return q.phase == SequencePhase::kFollowing; };
  return std::none_of(r.sequences.begin(), r.sequences.end(), follows) && r.route != Route::kHandoff &&
         s.outputs + 1 < r.request.sampling.max_tokens && s.planned_total() < options.context_length;
}

std::optional<PlannedStep> Scheduler::Plan(TimePoint now) {
  State& st = *state_;
  std::vector<Resident*> late;
  for (const auto& [key, entry] : st.waiting)
    if (entry.first->request.deadline <= now && std::find(late.begin(), late.end(), entry.first) == late.end())
      late.push_back(entry.first);
  for (Resident* r : late)
    st.End(*r, absl::DeadlineExceededError("the request's deadline passed while it waited in the worker's queue"), now);
  st.AskForReservations();

  Builder b;
  b.rows_left = st.options.step_rows_max;
  // Decode rows first: one per resident that has all but its last position.
  // Who still needs a block as it is; plans copy their sources before they compute anything.
  const auto sharers = [&](BlockId block) {
    int n = st.pool.holders(block);
    const auto copies_it = [&](const auto& source) { return source.first == block; };
    for (const InFlight& flight : st.in_flight)
      n -= std::count_if(flight.sources.begin(), flight.sources.end(), copies_it);
    return n - static_cast<int>(std::count_if(b.flight.sources.begin(), b.flight.sources.end(), copies_it));
  };
  for (const auto& [r, index] : std::vector(st.running)) {  // a copy: preemption takes others out
    Sequence& s = r->sequences[index];
    if (b.rows_left == 0) break;
    if (s.phase != SequencePhase::kRunning || !st.MayBePlanned(*r, s) || s.planned_total() - s.planned() != 1) continue;
    bool preempted_itself = false;
    const int tail = s.planned() / kBlockTokens;
    while (!st.Grow(*r, s, s.planned_total()) ||
           (tail < static_cast<int>(s.blocks.size()) && sharers(s.blocks[tail]) > 1 && st.pool.available() == 0)) {
      if (st.Preempt(r, index)) continue;
      preempted_itself = true;
      break;
    }
    if (preempted_itself) continue;     // everything else is in flight: try again after it
    if (sharers(s.blocks[tail]) > 1) {  // copy on write; the source is kept until the plan has copied it
      const BlockId copy = *st.pool.Allocate(r->use);
      b.step.plan.copies.push_back({s.blocks[tail], copy});
      b.flight.sources.emplace_back(s.blocks[tail], r->use);
      s.blocks[tail] = copy;
    }
    AddItem(b, *r, s, 1);
  }
  const int decode_rows = b.flight.rows;
  const StepRows chosen =
      ChooseStepRows(st.options, st.time_model, decode_rows, st.waiting.size() + st.running.size() > 1);
  int prefill_rows = chosen.most - decode_rows;
  const int chunk_rows_max = st.options.row_quantum > 1 ? chosen.most : st.options.chunk_tokens_max;
  const auto add_chunk = [&](Resident& r, Sequence& s) {
    const int rows = std::min({s.planned_total() - s.planned(), prefill_rows, chunk_rows_max});
    AddItem(b, r, s, rows);
    prefill_rows -= rows;
  };
  for (const auto& [r, index] : st.running) {
    Sequence& s = r->sequences[index];
    if (prefill_rows > 0 && st.MayBePlanned(*r, s) && s.planned_total() - s.planned() > 1) add_chunk(*r, s);
  }
  for (auto it = st.waiting.begin(); it != st.waiting.end() && prefill_rows > 0;) {
    const auto [r, index] = (it++)->second;
    if (r->ending || (r->route == Route::kHandoff && !r->granted)) continue;
    if (!st.MayBeAdmitted(*r)) break;
    if (!st.Admit(*r, r->sequences[index], now)) break;  // in order: nobody overtakes a request that waits for blocks
    add_chunk(*r, r->sequences[index]);
  }
  if (b.flight.items.empty()) return std::nullopt;
  const bool chunks = b.flight.rows > decode_rows;
  b.step.choice = chunks ? chosen.choice : RowsChoice::kDecode;
  if (chunks && decode_rows > 0)
    st.mixed = {chosen.most, chosen.choice, st.time_model.PredictMs(chosen.most), st.time_model.PredictMs(decode_rows)};
  b.step.plan.id = b.flight.plan = st.next_plan++;
  b.step.plan.ends = std::exchange(st.pending_ends, {});
  b.step.plan.report_layer_groups = !b.step.pushes.empty();
  st.in_flight.push_back(std::move(b.flight));
  return std::move(b.step);
}

}  // namespace tokenworks::scheduler
