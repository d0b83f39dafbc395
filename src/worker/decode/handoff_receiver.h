// SPDX-License-Identifier: Apache-2.0
// The decode side of all hand-offs of a worker: drives one DecodeHandoff per request and does what it asks for:
// blocks from the scheduler, KV out of the staging memory into the executor, answers to the prefill worker.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/scheduler/scheduler.h"
#include "kv_transfer/handoff/decode_handoff.h"
#include "kv_transfer/options.h"
#include "tokenworks/executor.h"
#include "worker/decode/pinned_copy.h"
#include "worker/peer_link.h"

namespace tokenworks::worker {

// Thread: the worker's control thread.
class HandoffReceiver {
 public:
  HandoffReceiver(kv_transfer::HandoffOptions options, Executor& executor, scheduler::Scheduler& scheduler)
      : options_(options), executor_(executor), scheduler_(scheduler), copy_(executor), converted_(executor) {}

  // Messages of a prefill worker; others are ignored.
  void OnMessage(const std::shared_ptr<PeerLink>& link, const kv_transfer::PeerMessage& message, TimePoint now);
  void OnLost(const std::shared_ptr<PeerLink>& link, TimePoint now);
  // By the router. It may overtake a reservation, so it is remembered for a while.
  void Cancelled(RequestId request, TimePoint now);
  // The scheduler has ended the request.
  void Ended(RequestId request, TimePoint now);
  // Gives waiting reservations another try, and ends what is past its deadline.
  void Tick(TimePoint now);

 private:
  struct Incoming {
    std::shared_ptr<PeerLink> link;
    GenerationRequest request;
    kv_transfer::DecodeHandoff machine;
    std::vector<BlockId> blocks;
  };
  void Feed(RequestId request, const kv_transfer::DecodeEvent& event, TimePoint now);
  void Perform(Incoming& in, const kv_transfer::DecodeAction& action, TimePoint now,
               std::deque<kv_transfer::DecodeEvent>& next);
  void OnReserve(const std::shared_ptr<PeerLink>& link, const GenerationRequest& request, TimePoint now);
  // False while it has to wait for blocks.
  bool TryReserve(RequestId request, TimePoint now);
  void OnPush(const std::shared_ptr<PeerLink>& link, const kv_transfer::Push& push, TimePoint now);
  // The verdict of each block of a push that says its own size; the executor's error.
  StatusOr<std::vector<kv_transfer::PushVerdict>> Store(const Incoming& in, const kv_transfer::Push& push,
                                                        std::span<const std::byte> staged);
  Incoming* Find(const std::shared_ptr<PeerLink>& link, RequestId request, Epoch epoch);

  const kv_transfer::HandoffOptions options_;
  Executor& executor_;
  scheduler::Scheduler& scheduler_;
  std::unordered_map<RequestId, Incoming> incoming_;
  std::deque<RequestId> waiting_;    // in order of arrival; entries may be over
  std::deque<RequestId> cancelled_;  // the latest
  PinnedCopy copy_, converted_;
  kv_transfer::Lease next_lease_ = 1;
};

}  // namespace tokenworks::worker
