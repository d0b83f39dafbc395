// SPDX-License-Identifier: Apache-2.0
// The router as a plain state machine: requests, workers' messages and time in; messages to workers and to sinks out.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "router/cluster_status.h"
#include "router/generation_backend.h"
#include "router/policy/placement_policy.h"
#include "router/router_options.h"
#include "router/worker_table.h"
#include "tokenworks/token_sink.h"

namespace tokenworks::router {

// Thread: the router's. `send` is called inside events and must not call back.
class RouterCore {
 public:
  using SendToWorker = std::function<void(const WorkerId&, ToWorker)>;
  RouterCore(RouterOptions options, std::unique_ptr<PlacementPolicy> policy, SendToWorker send)
      : options_(std::move(options)), policy_(std::move(policy)), send_(std::move(send)) {}

  void AddWorker(const WorkerId& id, WorkerRole role) { workers_.Add(id, role); }
  void Submit(GenerationRequest request, std::shared_ptr<TokenSink> sink, TimePoint now);
  void Cancel(RequestId id, std::optional<uint32_t> sequence, CancelReason reason, uint32_t kept_tokens, TimePoint now);
  void OnMessage(const WorkerId& id, FromWorker message, TimePoint now);
  void OnLost(const WorkerId& id, const Status& status, TimePoint now);
  // `done` hears Ok once the worker has reported the role; NotFound, Unavailable, or DeadlineExceeded after
  // RouterOptions::role_wait_max.
  void SetRole(const WorkerId& id, WorkerRole role, std::function<void(Status)> done, TimePoint now);
  void Tick(TimePoint now);
  void EndAll(const Status& status, TimePoint now);
  ClusterStatus Snapshot() const;

 private:
  struct SequenceLog {
    std::vector<TokenId> tokens;  // emitted, in order: the truth of what the client has been sent
    std::map<uint32_t, TokenDelta>
        early;  // by position: the decode worker's, come before the prefill worker's first token
    bool finished = false;
    uint32_t kept = kKeepAll;  // of them, what a stop string left: the token counters take no more
  };
  struct Active {
    GenerationRequest request;
    std::shared_ptr<TokenSink> sink;
    std::vector<SequenceLog> sequences;
    WorkerId prefill, decode;  // decode empty: local route
    bool placed = false, first_token = false, on_prefill = false, on_decode = false;
    bool decode_ended = false;  // well, while tokens of the prefill worker are still on their way
    TimePoint arrived, placed_at, first_at, last_at;
    RequestSummary summary;
  };
  Phase PrefillPhase() const { return options_.disaggregate == Disaggregate::kNever ? Phase::kBoth : Phase::kPrefill; }
  bool Place(Active& a, TimePoint now);
  // Why no worker takes this request; ok while one that does is due back.
  Status NoWorker(TimePoint waiting_since, TimePoint now) const;
  int ContextLimit() const;
  void OnDelta(TokenDelta delta, TimePoint now);
  void Append(Active& a, SequenceLog& s, TokenDelta delta, TimePoint now);
  static bool AllFinished(const Active& a);
  void OnEnded(const WorkerId& id, RequestEnded ended, TimePoint now);
  void End(Active& a, Status status, TimePoint now);
  void Unload(Active& a);
  int64_t Load(const Active& a) const {
    return static_cast<int64_t>(a.request.prompt.size()) +
           a.request.sampling.max_tokens * static_cast<int64_t>(a.request.n);
  }

  const RouterOptions options_;
  const std::unique_ptr<PlacementPolicy> policy_;
  const SendToWorker send_;
  WorkerTable workers_;
  std::unordered_map<RequestId, Active> active_;
  RequestBooks books_;
  RouterMetrics metrics_;
};

}  // namespace tokenworks::router
