// SPDX-License-Identifier: Apache-2.0
// The decode side of all hand-offs of a worker: reserves blocks, copies KV in and verifies it, starts decoding.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/scheduler/scheduler.h"
#include "kv_transfer/options.h"
#include "tokenworks/executor.h"
#include "worker/peer_link.h"

namespace tokenworks::worker {

// Thread: the worker's control thread.
class HandoffReceiver {
 public:
  HandoffReceiver(kv_transfer::HandoffOptions options, Executor& executor, scheduler::Scheduler& scheduler) : options_(options), executor_(executor), scheduler_(scheduler) {}

  void OnMessage(const std::shared_ptr<PeerLink>& link, kv_transfer::PeerMessage message, TimePoint now);
  void OnLost(const std::shared_ptr<PeerLink>& link);
  // A cancel may overtake a reservation: remembered for a while.
  void Cancelled(RequestId request);
  // Gives waiting reservations another try, and refuses those that have waited too long.
  void Tick(TimePoint now);

 private:
  struct Incoming {
    std::shared_ptr<PeerLink> link;
    Epoch epoch = 0;
    scheduler::Reservation reservation;
    int prompt_blocks = 0;
    std::set<std::pair<int, int>> received;  // (ordinal, first layer)
    std::optional<kv_transfer::Commit> commit;
  };
  struct Waiting {
    std::shared_ptr<PeerLink> link;
    GenerationRequest request;
    TimePoint since;
  };
  bool TryReserve(const Waiting& waiting, TimePoint now);
  void OnPush(const std::shared_ptr<PeerLink>& link, const kv_transfer::Push& push);
  void ActivateIfComplete(RequestId request, TimePoint now);

  const kv_transfer::HandoffOptions options_;
  Executor& executor_;
  scheduler::Scheduler& scheduler_;
  std::unordered_map<RequestId, Incoming> incoming_;
  std::deque<Waiting> waiting_;
  std::deque<RequestId> cancelled_;
  std::vector<std::byte> copy_;
};

}  // namespace tokenworks::worker
