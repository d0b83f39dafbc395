// SPDX-License-Identifier: Apache-2.0
#include "router/router_core.h"

#include <algorithm>

#include "platform/base/str_cat.h"

namespace tokenworks::router {

using base::StrCat;

int RouterCore::ContextLimit() const {
  return workers_.ContextLimit(options_.context_length > 0 ? options_.context_length : 1 << 30);
}

Status RouterCore::NoWorker(TimePoint waiting_since, TimePoint now) const {
  const Phase prefill = PrefillPhase();
  const bool no_prefill = workers_.Ready(prefill).empty();
  const Phase missing = no_prefill ? prefill : Phase::kDecode;
  if (workers_.DueBack(missing) && now - waiting_since < options_.worker_wait_max) return OkStatus();
  return absl::UnavailableError(StrCat("no ready worker in the ",
                                       missing == Phase::kBoth ? "mixed"
                                       : no_prefill            ? "prefill"
                                                               : "decode",
                                       " pool", workers_.DueBack(missing) ? "; one is starting" : ""));
}

void RouterCore::Submit(GenerationRequest request, std::shared_ptr<TokenSink> sink, TimePoint now) {
  ++books_.received;
  Active a;
  a.request = std::move(request);
  a.sink = std::move(sink);
  a.arrived = now;
  a.sequences.resize(a.request.n);
  const auto reject = [&](Status status, double retry_after_s) {
    ++books_.rejected;
    a.summary.status = std::move(status);
    a.summary.retry_after_s = retry_after_s;
    a.sink->OnEnd(std::move(a.summary));
  };
  const int prompt = static_cast<int>(a.request.prompt.size()), limit = ContextLimit();
  if (prompt >= limit) {
    Status status =
        absl::InvalidArgumentError(StrCat("This model's maximum context length is ", limit, " tokens; the prompt has ",
                                          prompt, " tokens and leaves no room for an answer"));
    status.SetPayload(kErrorCodePayload, absl::Cord("context_length_exceeded"));
    return reject(std::move(status), 0);
  }
  a.request.sampling.max_tokens = std::min(a.request.sampling.max_tokens, limit - prompt);
  if (metrics_.waiting >= options_.waiting_max)
    return reject(absl::ResourceExhaustedError(
                      StrCat("the router's queue of ", options_.waiting_max, " waiting requests is full")),
                  1);
  ++books_.active;
  ++metrics_.waiting;
  Active& kept = active_[a.request.id] = std::move(a);
  Place(kept, now);
}

bool RouterCore::Place(Active& a, TimePoint now) {
  const bool local = options_.disaggregate == Disaggregate::kNever;
  const std::vector<Candidate> prefill = workers_.Ready(PrefillPhase()),
                               decode = local ? std::vector<Candidate>() : workers_.Ready(Phase::kDecode);
  if (prefill.empty() || (!local && decode.empty())) return false;
  const Placement placement = policy_->Place({prefill, decode});
  a.prefill = prefill[placement.prefill].worker;
  a.decode = local ? WorkerId() : decode[placement.decode].worker;
  if (a.decode == a.prefill) a.decode.clear();
  a.placed = a.on_prefill = true;
  a.placed_at = now;
  a.summary.path = a.decode.empty() ? "local" : "disaggregated";
  a.summary.prefill_worker = a.prefill;
  a.summary.decode_worker = a.decode.empty() ? a.prefill : a.decode;
  (a.decode.empty() ? metrics_.path_local : metrics_.path_disaggregated) += 1;
  workers_.AddLoad(a.prefill, Load(a));
  if (!a.decode.empty()) workers_.AddLoad(a.decode, Load(a)), a.on_decode = true;
  Assign assign{a.request, a.decode.empty() ? Route::kLocal : Route::kHandoff,
                a.decode.empty() ? PeerAddress() : workers_.peer(a.decode)};
  send_(a.prefill, std::move(assign));
  return true;
}

void RouterCore::Unload(Active& a) {
  if (!a.placed) return;
  workers_.AddLoad(a.prefill, -Load(a));
  if (!a.decode.empty()) workers_.AddLoad(a.decode, -Load(a));
}

void RouterCore::End(Active& a, Status status, TimePoint now) {
  Unload(a);
  --books_.active;
  (a.first_token ? metrics_.running : metrics_.waiting) -= 1;
  if (status.ok())
    ++books_.completed;
  else if (status.code() == StatusCode::kCancelled)
    ++books_.cancelled;
  else
    ++books_.failed;
  for (const SequenceLog& s : a.sequences) metrics_.generation_tokens += std::min<size_t>(s.tokens.size(), s.kept);
  metrics_.end_to_end.Observe(now - a.arrived);
  a.summary.status = std::move(status);
  if (a.first_token) a.summary.ttft_ms = Milliseconds(a.first_at - a.arrived);
  const auto node = active_.extract(a.request.id);
  node.mapped().sink->OnEnd(std::move(node.mapped().summary));
}

void RouterCore::Cancel(RequestId id, std::optional<uint32_t> sequence, CancelReason reason, uint32_t kept_tokens,
                        TimePoint now) {
  const auto it = active_.find(id);
  if (it == active_.end()) return;
  Active& a = it->second;
  const auto tell = [&] {
    if (!a.placed) return;
    const tokenworks::Cancel cancel{id, a.request.epoch, sequence, reason};
    if (a.on_prefill) send_(a.prefill, cancel);
    if (a.on_decode) send_(a.decode, cancel);
  };
  if (sequence.has_value()) {
    if (*sequence >= a.sequences.size() || a.sequences[*sequence].finished) return;
    a.sequences[*sequence].finished = true;
    a.sequences[*sequence].kept = kept_tokens;
    const bool all = AllFinished(a);
    if (all) sequence.reset();
    tell();
    if (all) End(a, OkStatus(), now);
    return;
  }
  tell();
  End(a,
      reason == CancelReason::kDeadline ? absl::DeadlineExceededError("the request's deadline passed")
                                        : absl::CancelledError("the request was cancelled"),
      now);
}

void RouterCore::OnDelta(TokenDelta delta, TimePoint now) {
  const auto it = active_.find(delta.request);
  if (it == active_.end() || delta.epoch != it->second.request.epoch || delta.sequence >= it->second.sequences.size())
    return void(++metrics_.dropped_deltas);
  Active& a = it->second;
  SequenceLog& s = a.sequences[delta.sequence];
  if (s.finished || delta.position < s.tokens.size()) return void(++metrics_.dropped_deltas);
  if (delta.position > s.tokens.size()) {
    if (!s.early.try_emplace(delta.position, std::move(delta)).second) ++metrics_.dropped_deltas;
    return;
  }
  Append(a, s, std::move(delta), now);
  while (!s.early.empty() && s.early.begin()->first <= s.tokens.size()) {
    TokenDelta next = std::move(s.early.extract(s.early.begin()).mapped());
    if (s.finished || next.position < s.tokens.size())
      ++metrics_.dropped_deltas;
    else
      Append(a, s, std::move(next), now);
  }
  if (a.decode_ended && AllFinished(a)) End(a, OkStatus(), now);
}

bool RouterCore::AllFinished(const Active& a) {
  return std::all_of(a.sequences.begin(), a.sequences.end(), [](const SequenceLog& s) { return s.finished; });
}

// The log takes the tokens that come next, and so does the client.
void RouterCore::Append(Active& a, SequenceLog& s, TokenDelta delta, TimePoint now) {
  for (const SampledToken& t : delta.tokens) s.tokens.push_back(t.token);
  s.finished = delta.finish != FinishReason::kNone;
  if (!a.first_token) {
    a.first_token = true;
    a.first_at = now;
    --metrics_.waiting;
    ++metrics_.running;
    metrics_.prompt_tokens += a.request.prompt.size();
    metrics_.ttft.Observe(now - a.arrived);
  } else {
    metrics_.inter_token.Observe(now - a.last_at);
  }
  a.last_at = now;
  a.sink->OnTokens(std::move(delta));
}

void RouterCore::OnEnded(const WorkerId& id, RequestEnded ended, TimePoint now) {
  const auto it = active_.find(ended.request);
  if (it == active_.end() || ended.epoch != it->second.request.epoch) return;
  Active& a = it->second;
  RequestTimings& t = a.summary.timings;
  if (id == a.prefill) {
    t.queue_ms = ended.timings.queue_ms;
    metrics_.queue.Observe(std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(t.queue_ms)));
    t.prefill_ms = ended.timings.prefill_ms;
    a.summary.cached_tokens = ended.cached_tokens;
    metrics_.prompt_tokens_cached += ended.cached_tokens;
    a.on_prefill = false;
  }
  if (ended.timings.handoff_ms > 0) t.handoff_ms = ended.timings.handoff_ms;
  if (ended.timings.decode_ms > 0) t.decode_ms = ended.timings.decode_ms;
  if (ended.handed_off && ended.status.ok() && !a.decode_ended) return;  // the decode worker goes on
  if (id == a.decode && ended.status.ok() && a.on_prefill && !AllFinished(a)) {
    a.on_decode = false;
    a.decode_ended = true;
    return;
  }
  if (!ended.status.ok() && a.on_decode && id == a.prefill)
    send_(a.decode, tokenworks::Cancel{a.request.id, a.request.epoch, std::nullopt, CancelReason::kAborted});
  End(a, std::move(ended.status), now);
}

void RouterCore::OnMessage(const WorkerId& id, FromWorker message, TimePoint now) {
  workers_.Hear(id, message, now);
  for (TokenDelta& d : message.deltas) OnDelta(std::move(d), now);
  for (RequestEnded& e : message.ended) OnEnded(id, std::move(e), now);
  Tick(now);
}

void RouterCore::OnLost(const WorkerId& id, const Status& status, TimePoint now) {
  workers_.Lose(id, status);
  std::vector<RequestId> hit;
  for (auto& [request, a] : active_)
    if ((a.on_prefill && a.prefill == id) || (a.on_decode && a.decode == id)) hit.push_back(request);
  for (const RequestId& request : hit) {
    Active& a = active_.at(request);
    const WorkerId other =
        id == a.prefill ? (a.on_decode ? a.decode : WorkerId()) : (a.on_prefill ? a.prefill : WorkerId());
    if (!other.empty())
      send_(other, tokenworks::Cancel{request, a.request.epoch, std::nullopt, CancelReason::kAborted});
    End(a, absl::UnavailableError(StrCat("worker ", id, " was lost while it worked on this request; send it again")),
        now);
  }
}

void RouterCore::SetRole(const WorkerId& id, WorkerRole role, std::function<void(Status)> done, TimePoint now) {
  const Status status = workers_.AwaitRole(id, role, now + options_.role_wait_max, done);
  if (!status.ok()) return done(status);
  send_(id, tokenworks::SetRole{role});
}

void RouterCore::Tick(TimePoint now) {
  std::vector<RequestId> late, waiting;
  for (auto& [id, a] : active_) {
    if (a.request.deadline <= now)
      late.push_back(id);
    else if (!a.placed)
      waiting.push_back(id);
  }
  for (const RequestId& id : late) Cancel(id, std::nullopt, CancelReason::kDeadline, kKeepAll, now);
  for (const RequestId& id : waiting) {
    Active& a = active_.at(id);
    if (Place(a, now)) continue;
    Status status = NoWorker(a.arrived, now);
    if (status.ok()) continue;
    a.summary.retry_after_s = 1;
    End(a, std::move(status), now);
  }
  workers_.Tick(now);
}

void RouterCore::EndAll(const Status& status, TimePoint now) {
  while (!active_.empty()) End(active_.begin()->second, status, now);
}

ClusterStatus RouterCore::Snapshot() const {
  ClusterStatus s;
  s.model = options_.model;
  s.context_length = ContextLimit();
  s.requests = books_;
  s.metrics = metrics_;
  workers_.Fill(s);
  const bool prefill = !workers_.Ready(PrefillPhase()).empty(),
             decode = PrefillPhase() == Phase::kBoth || !workers_.Ready(Phase::kDecode).empty();
  s.ready = prefill && decode;
  if (!s.ready)
    s.not_ready_reason = StrCat("no ready worker in the ",
                                PrefillPhase() == Phase::kBoth ? "mixed"
                                : prefill                      ? "decode"
                                                               : "prefill",
                                " pool");
  return s;
}

}  // namespace tokenworks::router
