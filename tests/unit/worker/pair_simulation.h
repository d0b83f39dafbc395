// SPDX-License-Identifier: Apache-2.0
// A prefill and a decode worker in one thread under a virtual clock: what happens next, a seed decides.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "context_hash_executor.h"
#include "kv_transfer/transport/local/local_transport.h"
#include "worker/worker_core.h"

namespace tokenworks::worker {

// One worker process: core, executor, and the events that its threads would have posted.
class SimulatedWorker {
 public:
  SimulatedWorker(const std::string& id, WorkerRole role, Incarnation incarnation, const ContextHashOptions& executor,
                  const kv_transfer::HandoffOptions& handoff, kv_transfer::LocalHub& hub, const ManualClock& clock);

  void Assign(GenerationRequest request, Route route, const PeerAddress& decode) {
    core_->OnRouter(tokenworks::Assign{std::move(request), route, decode}, clock_.Now());
  }
  void Cancel(RequestId id, std::optional<uint32_t> sequence) {
    core_->OnRouter(tokenworks::Cancel{id, 1, sequence, CancelReason::kAborted}, clock_.Now());
  }
  // Plans as many steps as the executor takes and completes the oldest, if there is one.
  bool Step();
  void Tick() { core_->Tick(clock_.Now()); }
  // Closes every connection, as the kernel does for a dead process.
  void CloseLinks();
  // Ends the core, not its executor; nothing else may be called then but executor().
  void ForgetCore() { core_.reset(); }
  // Gathers what the router would hear.
  void Drain();
  WorkerReport Report();

  PeerAddress address() const { return core_->Hello().peer; }
  ContextHashExecutor& executor() { return executor_; }
  std::vector<TokenDelta> deltas;
  std::vector<RequestEnded> ended;

 private:
  const ManualClock& clock_;
  ContextHashExecutor executor_;
  kv_transfer::LocalTransport transport_;
  std::vector<std::weak_ptr<PeerLink>> links_;
  std::deque<uint64_t> in_flight_;
  std::unique_ptr<WorkerCore> core_;
};

// A layer group of a block of the simulated executor.
inline constexpr uint64_t kPieceBytes = 2 * kBlockTokens * sizeof(uint64_t);

// The router's side of both: which tokens have come out, and how each request ended.
struct SimulatedPair {
  explicit SimulatedPair(uint64_t seed, kv_transfer::HandoffOptions handoff = {}, int kv_blocks = 24);

  // A random prompt of up to 90 tokens, handed off (or local on the decode worker).
  RequestId Submit(Route route = Route::kHandoff);
  void Cancel(RequestId id, std::optional<uint32_t> sequence = std::nullopt);
  // One thing out of those that can happen now; false when none can.
  bool Once();
  // Until nothing happens any more, time included: all deadlines pass.
  void RunDry();
  void Collect();

  struct Request {
    GenerationRequest request;
    std::vector<std::vector<TokenId>> tokens;
    bool prefill_ended = false, decode_ended = false, handed_off = false, cancelled = false, local = false;
    Status status;
    bool over() const { return local ? decode_ended : prefill_ended && (!handed_off || decode_ended); }
  };

  std::mt19937_64 random;
  ManualClock clock;
  kv_transfer::LocalHub hub;
  ContextHashOptions executor;
  std::unique_ptr<SimulatedWorker> prefill, decode;
  std::map<RequestId, Request> requests;
  uint64_t next_id = 1;
  std::vector<std::string> problems;  // tokens that differ, requests that ended twice

  size_t Pick(size_t n) { return static_cast<size_t>(random() % n); }

 private:
  void Take(SimulatedWorker& worker, bool is_prefill);
  void TakeDelta(const TokenDelta& delta);
  void TakeEnd(const RequestEnded& ended, bool is_prefill);
};

}  // namespace tokenworks::worker
