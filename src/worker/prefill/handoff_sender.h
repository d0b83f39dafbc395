// SPDX-License-Identifier: Apache-2.0
// The prefill side of all hand-offs of a worker: asks for reservations, pushes KV layer group by layer group, commits.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/scheduler/scheduler.h"
#include "kv_transfer/options.h"
#include "tokenworks/executor.h"
#include "worker/peer_link.h"

namespace tokenworks::worker {

// Thread: the worker's control thread. Copies blocks out of the executor on it.
class HandoffSender {
 public:
  // Opens a connection to a peer (null when it cannot be reached).
  using Dial = std::function<std::shared_ptr<PeerLink>(const PeerAddress&)>;
  HandoffSender(kv_transfer::HandoffOptions options, const Executor& executor, scheduler::Scheduler& scheduler, Dial dial)
      : options_(options), executor_(executor), scheduler_(scheduler), dial_(std::move(dial)) {}

  void Assigned(const GenerationRequest& request, const PeerAddress& decode);
  void WantsReservation(RequestId request, TimePoint now);
  void Planned(uint64_t plan, std::vector<scheduler::PlannedPush> pushes) {
    if (!pushes.empty()) pushes_[plan] = std::move(pushes);
  }
  void LayerGroupDone(uint64_t plan, int group);
  void PlanDone(uint64_t plan) { pushes_.erase(plan); }
  void PrefillDone(const scheduler::PrefillDone& done, TimePoint now);
  // The request is over on this side (cancelled or failed).
  void Ended(RequestId request);
  void OnMessage(const std::shared_ptr<PeerLink>& link, kv_transfer::PeerMessage message, TimePoint now);
  void OnLost(const std::shared_ptr<PeerLink>& link, TimePoint now);
  void Report(WorkerReport& report) const;
  uint64_t pushed_bytes(RequestId request) const;

 private:
  struct Outgoing {
    GenerationRequest request;
    PeerAddress decode;
    std::shared_ptr<PeerLink> link;
    bool granted = false;
    uint64_t pushed_bytes = 0;
  };
  struct Item {  // one push, or (block < 0) the commit after all pushes of its request
    RequestId request;
    int ordinal = 0;
    BlockId block = -1;
    int group = 0;
    bool resend = false;
    kv_transfer::Commit commit;
  };
  void QueueBlock(const Outgoing& out, int ordinal, BlockId block, int first_group, int groups);
  void Flush(const std::shared_ptr<PeerLink>& link);
  bool SendPush(Outgoing& out, PeerLink& link, const Item& item);
  void Fail(RequestId request, const Status& status, TimePoint now);

  const kv_transfer::HandoffOptions options_;
  const Executor& executor_;
  scheduler::Scheduler& scheduler_;
  const Dial dial_;
  std::map<WorkerId, std::shared_ptr<PeerLink>> links_;
  std::unordered_map<RequestId, Outgoing> outgoing_;
  std::map<uint64_t, std::vector<scheduler::PlannedPush>> pushes_;
  std::map<PeerLink*, std::deque<Item>> queues_;
  std::map<std::pair<PeerLink*, uint64_t>, Item> in_ring_;  // by offset
  uint64_t started_ = 0, completed_ = 0, failed_ = 0, bytes_ = 0, bytes_resent_ = 0;
  double seconds_ = 0;
};

}  // namespace tokenworks::worker
