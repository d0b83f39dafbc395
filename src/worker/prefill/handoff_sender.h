// SPDX-License-Identifier: Apache-2.0
// The prefill side of all hand-offs of a worker: drives one PrefillHandoff per request and does what it asks for:
// messages to the decode worker, KV out of the executor into the staging memory, calls to the scheduler.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <variant>
#include <vector>

#include "engine/scheduler/scheduler.h"
#include "kv_transfer/handoff/prefill_handoff.h"
#include "kv_transfer/options.h"
#include "tokenworks/executor.h"
#include "worker/peer_link.h"

namespace tokenworks::worker {

// Thread: the worker's control thread.
class HandoffSender {
 public:
  // Opens a connection to a peer and says hello on it.
  using Dial = std::function<StatusOr<std::shared_ptr<PeerLink>>(const PeerAddress&)>;
  HandoffSender(kv_transfer::HandoffOptions options, const Executor& executor, scheduler::Scheduler& scheduler,
                Dial dial)
      : options_(options), executor_(executor), scheduler_(scheduler), dial_(std::move(dial)) {}

  void Assigned(const GenerationRequest& request, const PeerAddress& decode);
  void WantsReservation(RequestId request, TimePoint now);
  void Planned(uint64_t plan, std::vector<scheduler::PlannedPush> pushes) {
    if (!pushes.empty()) pushes_[plan] = std::move(pushes);
  }
  void LayerGroupDone(uint64_t plan, int group, TimePoint now);
  void PlanDone(uint64_t plan) { pushes_.erase(plan); }
  void PrefillDone(const scheduler::PrefillDone& done, TimePoint now);
  // The request is over on this side (cancelled or failed) by the scheduler's word.
  void Ended(RequestId request, TimePoint now);
  // Messages of the decode worker; others are ignored.
  void OnMessage(const std::shared_ptr<PeerLink>& link, const kv_transfer::PeerMessage& message, TimePoint now);
  void OnLost(const std::shared_ptr<PeerLink>& link, TimePoint now);
  void Tick(TimePoint now);

  void Report(std::string_view wire, WorkerReport& report) const;
  uint64_t pushed_bytes(RequestId request) const;
  // From the first token to the decode worker's ack, of a request that has just ended; 0 when unknown.
  double TakeHandoffMs(RequestId request);

 private:
  struct Outgoing {
    GenerationRequest request;
    PeerAddress decode;
    std::shared_ptr<PeerLink> link;
    kv_transfer::PrefillHandoff machine;
    uint64_t pushed_bytes = 0;
    TimePoint prompt_done;
    int flips = 0;  // damage done on purpose
  };
  // What waits for its turn on a connection.
  struct Outbound {
    RequestId request;
    std::variant<kv_transfer::prefill_action::SendPush, kv_transfer::prefill_action::SendCommit> what;
  };
  // One push: pieces of one layer group, of neighbouring blocks of one prompt.
  struct Staged {
    RequestId request;
    kv_transfer::Lease lease = 0;
    std::vector<kv_transfer::Piece> pieces;
  };

  void Feed(RequestId request, kv_transfer::PrefillEvent event, TimePoint now);
  void Perform(Outgoing& out, kv_transfer::PrefillAction action, TimePoint now,
               std::deque<kv_transfer::PrefillEvent>& next);
  Status Connect(Outgoing& out);
  std::vector<kv_transfer::Piece> PiecesOf(const scheduler::PlannedPush& push, int first_group, int groups) const;
  void Flush(PeerLink& link);
  // The pieces at the front of the queue that one push can carry.
  std::vector<kv_transfer::Piece> NextPieces(const std::deque<Outbound>& queue, PeerLink& link) const;
  // ResourceExhausted while there is no room for them in the staging memory; else the executor's error.
  Status Stage(Outgoing& out, PeerLink& link, std::vector<kv_transfer::Piece> pieces);
  void OnPushReply(const std::shared_ptr<PeerLink>& link, const kv_transfer::PushReply& reply, TimePoint now);

  const kv_transfer::HandoffOptions options_;
  const Executor& executor_;
  scheduler::Scheduler& scheduler_;
  const Dial dial_;
  std::map<WorkerId, std::shared_ptr<PeerLink>> links_;
  std::unordered_map<RequestId, Outgoing> outgoing_;
  std::map<uint64_t, std::vector<scheduler::PlannedPush>> pushes_;
  std::map<PeerLink*, std::deque<Outbound>> queues_;
  std::map<std::pair<PeerLink*, uint64_t>, Staged> staged_;  // by offset
  std::unordered_map<RequestId, double> handoff_ms_;
  uint64_t started_ = 0, completed_ = 0, failed_ = 0, recomputed_ = 0, bytes_ = 0, bytes_resent_ = 0;
  double seconds_ = 0;
};

}  // namespace tokenworks::worker
