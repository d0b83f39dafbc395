// SPDX-License-Identifier: Apache-2.0
// Both sides of a hand-off: grant, push and end where the prompt is computed; reserve and activate where it goes on.
#include <algorithm>

#include "engine/scheduler/state.h"
#include "platform/base/str_cat.h"

namespace tokenworks::scheduler {

using base::StrCat;
using kv_cache::Use;

PlannedPush Scheduler::Grant(RequestId request, int cached_blocks, TimePoint now) {
  State& st = *state_;
  PlannedPush push{request, {}};
  Resident* r = st.Find(request);
  if (r == nullptr || r->ending) return push;
  r->granted = true;
  r->pushed = cached_blocks;
  const auto waiting = std::find_if(r->sequences.begin(), r->sequences.end(),
                                    [](const Sequence& s) { return s.phase == SequencePhase::kWaiting; });
  Sequence& leader = waiting == r->sequences.end() ? r->sequences[0] : *waiting;
  if (!r->prompt_done && leader.phase == SequencePhase::kWaiting && st.IsNext(*r) && st.MayBeAdmitted(*r))
    st.Admit(*r, leader, now);
  // What is computed already: everything when the prompt is done, else the cached prefix. A request that finds no room
  // now pushes its prefix with its first chunk.
  const int ready = r->prompt_done ? st.BlocksFor(static_cast<int>(r->request.prompt.size())) : leader.registered;
  for (; r->pushed < ready; ++r->pushed) push.blocks.emplace_back(r->pushed, leader.blocks[r->pushed]);
  return push;
}

void Scheduler::EndHandoff(RequestId request, Status status, TimePoint now) {
  State& st = *state_;
  Resident* r = st.Find(request);
  if (r == nullptr) return;
  const bool more = std::any_of(r->sequences.begin(), r->sequences.end(),
                                [](const Sequence& s) { return !s.stopping && s.phase != SequencePhase::kFinished; });
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
  r->pushed = 0;
  r->use = Use::kActive;
}

StatusOr<Reservation> Scheduler::Reserve(GenerationRequest request, TimePoint now) {
  State& st = *state_;
  TW_RETURN_IF_ERROR(st.CheckFits(request));
  if (st.residents.contains(request.id)) return absl::AlreadyExistsError("a request of this id is already here");
  if (st.LiveSequences() + static_cast<int>(request.n) > st.options.running_max)
    return absl::ResourceExhaustedError("the worker has as many sequences as it may hold");
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

bool Scheduler::Activate(RequestId request, const std::vector<SampledToken>& first_tokens,
                         const std::vector<bool>& ended, TimePoint now) {
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

}  // namespace tokenworks::scheduler
