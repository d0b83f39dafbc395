// SPDX-License-Identifier: Apache-2.0
#include "engine/scheduler/state.h"

#include <algorithm>

#include "platform/base/check.h"
#include "platform/base/str_cat.h"

namespace tokenworks::scheduler {

using kv_cache::Use;

Resident* Scheduler::State::Find(RequestId id) {
  const auto it = residents.find(id);
  return it == residents.end() ? nullptr : it->second.get();
}

Status Scheduler::State::CheckFits(const GenerationRequest& request) const {
  if (request.prompt.empty() || request.n == 0)
    return absl::InvalidArgumentError("a request needs a prompt and at least one sequence");
  if (request.n > static_cast<uint32_t>(options.running_max))
    return absl::InvalidArgumentError(base::StrCat("a request of ", request.n, " sequences: this worker runs at most ",
                                                   options.running_max, " at once"));
  const int prompt = static_cast<int>(request.prompt.size());
  if (prompt + 1 > options.context_length || (prompt + kBlockTokens) / kBlockTokens > options.kv_blocks)
    return absl::InvalidArgumentError(base::StrCat("a prompt of ", prompt,
                                                   " tokens does not fit: this worker's maximum context length is ",
                                                   options.context_length, " tokens"));
  return OkStatus();
}

Resident& Scheduler::State::Insert(GenerationRequest request, Route route, TimePoint now) {
  auto r = std::make_unique<Resident>();
  r->request = std::move(request);
  r->route = route;
  r->order = next_order++;
  r->arrived = now;
  const kv_index::BlockKey root =
      kv_index::RootKey(options.model_fingerprint, r->request.adapter, r->request.tenant, r->request.cache_salt);
  for (uint32_t i = 0; i < r->request.n; ++i) {
    Sequence s;
    s.index = i;
    s.tokens = r->request.prompt;
    s.last_key = root;
    if (i < r->request.emitted.size()) {
      s.tokens.insert(s.tokens.end(), r->request.emitted[i].begin(), r->request.emitted[i].end());
      s.outputs = static_cast<int>(r->request.emitted[i].size());
    }
    r->sequences.push_back(std::move(s));
  }
  Resident& out = *r;
  residents[out.request.id] = std::move(r);
  return out;
}

void Scheduler::State::Enqueue(Resident& r, uint32_t sequence, bool preempted) {
  r.sequences[sequence].phase = SequencePhase::kWaiting;
  waiting[{r.request.priority, preempted ? 0 : 1, r.order, sequence}] = {&r, sequence};
}

void Scheduler::State::Dequeue(Resident& r, uint32_t sequence) {
  for (const int preempted : {0, 1}) waiting.erase({r.request.priority, preempted, r.order, sequence});
}

void Scheduler::State::StopRunning(Resident& r, uint32_t sequence) {
  std::erase(running, std::pair<Resident*, uint32_t>{&r, sequence});
}

void Scheduler::State::ReleaseBlocks(Resident& r, Sequence& s) {
  // Last blocks first: the head of a prefix stays cached longest.
  for (auto b = s.blocks.rbegin(); b != s.blocks.rend(); ++b) pool.Drop(*b, r.use);
  s.blocks.clear();
  s.computed = s.registered = 0;
  s.last_key = kv_index::RootKey(options.model_fingerprint, r.request.adapter, r.request.tenant, r.request.cache_salt);
}

int Scheduler::State::MatchPrefix(Sequence& s, Use use) {
  if (!options.prefix_cache) return 0;
  const int most = (s.total() - 1) / kBlockTokens;
  while (s.registered < most) {
    const auto key = kv_index::ChildKey(
        s.last_key, std::span(s.tokens).subspan(static_cast<size_t>(s.registered) * kBlockTokens, kBlockTokens));
    const auto block = pool.Find(key);
    if (!block) break;
    pool.Hold(*block, use);
    s.blocks.push_back(*block);
    s.last_key = key;
    ++s.registered;
  }
  s.computed = s.registered * kBlockTokens;
  return s.registered;
}

void Scheduler::State::RegisterFullBlocks(Sequence& s) {
  if (!options.prefix_cache) return;
  for (; (s.registered + 1) * kBlockTokens <= s.computed; ++s.registered) {
    s.last_key = kv_index::ChildKey(
        s.last_key, std::span(s.tokens).subspan(static_cast<size_t>(s.registered) * kBlockTokens, kBlockTokens));
    pool.Register(s.blocks[s.registered], s.last_key);
  }
}

bool Scheduler::State::Grow(Resident& r, Sequence& s, int positions) {
  const int wanted = BlocksFor(positions) - static_cast<int>(s.blocks.size());
  if (wanted > pool.available()) return false;
  for (int i = 0; i < wanted; ++i) s.blocks.push_back(*pool.Allocate(r.use));
  return true;
}

FinishReason Scheduler::State::Append(Resident& r, Sequence& s, const SampledToken& token) {
  s.tokens.push_back(token.token);
  ++s.outputs;
  ++generation_tokens;
  const SamplingParams& p = r.request.sampling;
  const auto listed = [&](const std::vector<TokenId>& ids) {
    return std::find(ids.begin(), ids.end(), token.token) != ids.end();
  };
  if ((!p.ignore_eos && listed(options.end_tokens)) || listed(p.stop_token_ids)) return FinishReason::kStop;
  if (s.outputs >= p.max_tokens || s.total() >= options.context_length) return FinishReason::kLength;
  return FinishReason::kNone;
}

void Scheduler::State::FinishSequence(Resident& r, Sequence& s) {
  if (s.phase == SequencePhase::kFinished) return;
  Dequeue(r, s.index);
  StopRunning(r, s.index);
  if (s.opened) pending_ends.push_back({r.request.id, s.index});
  s.opened = false;
  s.phase = SequencePhase::kFinished;
  ReleaseBlocks(r, s);
}

void Scheduler::State::Leave(Resident& r, Sequence& s) {
  FinishSequence(r, s);
  const auto in_phase = [&](SequencePhase phase) {
    return std::find_if(r.sequences.begin(), r.sequences.end(), [&](const Sequence& q) { return q.phase == phase; });
  };
  const auto follower = in_phase(SequencePhase::kFollowing);
  if (follower == r.sequences.end() || in_phase(SequencePhase::kWaiting) != r.sequences.end() ||
      in_phase(SequencePhase::kRunning) != r.sequences.end())
    return;
  Enqueue(r, follower->index, true);
}

void Scheduler::State::EndIfFinished(Resident& r, TimePoint now) {
  if (r.finished() && !r.in_flight()) Erase(r, false, now);
}

void Scheduler::State::End(Resident& r, Status status, TimePoint now, bool handed_off) {
  if (!r.ending) r.status = std::move(status);
  r.ending = true;
  if (r.in_flight()) return;
  for (Sequence& s : r.sequences) FinishSequence(r, s);
  Erase(r, handed_off, now);
}

void Scheduler::State::Erase(Resident& r, bool handed_off, TimePoint now) {
  RequestEnded ended;
  ended.request = r.request.id;
  ended.epoch = r.request.epoch;
  ended.handed_off = handed_off;
  ended.status = r.status;
  ended.cached_tokens = r.cached_tokens;
  if (!r.decode_side) {
    ended.timings.queue_ms = Milliseconds((r.has_started ? r.started : now) - r.arrived);
    if (r.prompt_done) ended.timings.prefill_ms = Milliseconds(r.first_token - r.started);
  }
  if (r.prompt_done && !handed_off) ended.timings.decode_ms = Milliseconds(now - r.first_token);
  output.ended.push_back(std::move(ended));
  residents.erase(r.request.id);
}

void Scheduler::State::ForkFollowers(Resident& r, Sequence& leader) {
  for (Sequence& s : r.sequences) {
    if (s.phase != SequencePhase::kFollowing) continue;
    s.blocks.assign(leader.blocks.begin(), leader.blocks.begin() + BlocksFor(leader.computed));
    for (const BlockId b : s.blocks) pool.Hold(b, r.use);
    s.computed = leader.computed;
    s.registered = leader.registered;
    s.last_key = leader.last_key;
    s.phase = SequencePhase::kRunning;
    running.emplace_back(&r, s.index);
  }
}

}  // namespace tokenworks::scheduler
