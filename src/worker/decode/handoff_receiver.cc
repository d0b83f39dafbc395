// SPDX-License-Identifier: Apache-2.0
#include "worker/decode/handoff_receiver.h"

#include <xxhash.h>

#include <algorithm>

namespace tokenworks::worker {

using namespace kv_transfer;

namespace {
constexpr size_t kCancelledRemembered = 1024;
}

void HandoffReceiver::Cancelled(RequestId request) {
  cancelled_.push_back(request);
  if (cancelled_.size() > kCancelledRemembered) cancelled_.pop_front();
  std::erase_if(waiting_, [&](const Waiting& w) {
    if (w.request.id != request) return false;
    w.link->Send(ReserveReply{request, w.request.epoch, absl::CancelledError("the request was cancelled"), 0});
    return true;
  });
  incoming_.erase(request);
}

bool HandoffReceiver::TryReserve(const Waiting& waiting, TimePoint now) {
  const RequestId id = waiting.request.id;
  const Epoch epoch = waiting.request.epoch;
  if (std::find(cancelled_.begin(), cancelled_.end(), id) != cancelled_.end()) {
    waiting.link->Send(ReserveReply{id, epoch, absl::CancelledError("the request was cancelled"), 0});
    return true;
  }
  const int prompt = static_cast<int>(waiting.request.prompt.size());
  auto reservation = scheduler_.Reserve(waiting.request, now);
  if (!reservation.ok()) {
    if (reservation.status().code() == StatusCode::kResourceExhausted && now - waiting.since < options_.reservation_wait) return false;
    waiting.link->Send(ReserveReply{id, epoch, reservation.status(), 0});
    return true;
  }
  Incoming in{waiting.link, epoch, std::move(*reservation), (prompt + kBlockTokens - 1) / kBlockTokens, {}, {}};
  const int cached = in.reservation.cached_blocks;
  incoming_[id] = std::move(in);
  waiting.link->Send(ReserveReply{id, epoch, OkStatus(), cached});
  return true;
}

void HandoffReceiver::Tick(TimePoint now) {
  while (!waiting_.empty() && TryReserve(waiting_.front(), now)) waiting_.pop_front();
}

void HandoffReceiver::OnPush(const std::shared_ptr<PeerLink>& link, const Push& push) {
  PushReply reply{push.request, push.epoch, push.offset, false};
  const auto it = incoming_.find(push.request);
  const auto& layers = executor_.info().kv_layout.layers;
  if (it != incoming_.end() && it->second.epoch == push.epoch && link->ring && push.layers > 0 && push.first_layer >= 0 &&
      push.first_layer + push.layers <= static_cast<int>(layers.size()) && push.ordinal >= it->second.reservation.cached_blocks && push.ordinal < it->second.prompt_blocks &&
      push.bytes == layers[push.first_layer].bytes * static_cast<uint64_t>(push.layers) && link->ring->Contains(push.offset, push.bytes)) {
    const auto source = link->ring->At(push.offset, push.bytes);
    copy_.assign(source.begin(), source.end());  // verified where the sender cannot change it any more
    if (push.checked && XXH3_64bits(copy_.data(), copy_.size()) != push.checksum) {
      reply.bad = true;
    } else {
      executor_.CopyBlockIn(it->second.reservation.blocks[push.ordinal], push.first_layer, push.layers, copy_);
      it->second.received.insert({push.ordinal, push.first_layer});
    }
  }
  link->Send(reply);
}

void HandoffReceiver::ActivateIfComplete(RequestId request, TimePoint now) {
  const auto it = incoming_.find(request);
  if (it == incoming_.end() || !it->second.commit) return;
  Incoming& in = it->second;
  const size_t expected = static_cast<size_t>(in.prompt_blocks - in.reservation.cached_blocks) * executor_.info().layer_groups;
  if (in.received.size() < expected) return;
  scheduler_.Activate(request, in.commit->first_tokens, std::vector<bool>(in.commit->ended.begin(), in.commit->ended.end()), now);
  in.link->Send(Ack{request, in.epoch});
  incoming_.erase(it);
}

void HandoffReceiver::OnMessage(const std::shared_ptr<PeerLink>& link, PeerMessage message, TimePoint now) {
  if (auto* reserve = std::get_if<Reserve>(&message)) {
    Waiting waiting{link, std::move(reserve->request), now};
    if (waiting_.empty() && TryReserve(waiting, now)) return;
    if (static_cast<int>(waiting_.size()) >= options_.reservations_waiting_max)
      link->Send(ReserveReply{waiting.request.id, waiting.request.epoch, absl::ResourceExhaustedError("the decode worker's reservation queue is full"), 0});
    else
      waiting_.push_back(std::move(waiting));
  } else if (auto* push = std::get_if<Push>(&message)) {
    OnPush(link, *push);
    ActivateIfComplete(push->request, now);
  } else if (auto* commit = std::get_if<Commit>(&message)) {
    const auto it = incoming_.find(commit->request);
    if (it == incoming_.end() || it->second.epoch != commit->epoch) return;
    it->second.commit = std::move(*commit);
    ActivateIfComplete(it->second.commit->request, now);
  } else if (auto* cancel = std::get_if<CancelReservation>(&message)) {
    std::erase_if(waiting_, [&](const Waiting& w) { return w.request.id == cancel->request; });
    if (incoming_.erase(cancel->request) > 0) scheduler_.DropReservation(cancel->request);
  }
}

void HandoffReceiver::OnLost(const std::shared_ptr<PeerLink>& link) {
  std::erase_if(waiting_, [&](const Waiting& w) { return w.link == link; });
  for (auto it = incoming_.begin(); it != incoming_.end();) {
    if (it->second.link != link) {
      ++it;
      continue;
    }
    scheduler_.DropReservation(it->first);
    it = incoming_.erase(it);
  }
}

}  // namespace tokenworks::worker
