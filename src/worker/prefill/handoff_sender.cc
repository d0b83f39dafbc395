// SPDX-License-Identifier: Apache-2.0
#include "worker/prefill/handoff_sender.h"

#include <xxhash.h>

#include <algorithm>

#include "platform/base/str_cat.h"

namespace tokenworks::worker {

using namespace kv_transfer;

void HandoffSender::Assigned(const GenerationRequest& request, const PeerAddress& decode) { outgoing_[request.id] = {request, decode, nullptr, false, 0}; }

uint64_t HandoffSender::pushed_bytes(RequestId request) const {
  const auto it = outgoing_.find(request);
  return it == outgoing_.end() ? 0 : it->second.pushed_bytes;
}

void HandoffSender::Fail(RequestId request, const Status& status, TimePoint now) {
  ++failed_;
  outgoing_.erase(request);
  scheduler_.EndHandoff(request, status, now);
}

void HandoffSender::WantsReservation(RequestId request, TimePoint now) {
  const auto it = outgoing_.find(request);
  if (it == outgoing_.end()) return;
  Outgoing& out = it->second;
  std::shared_ptr<PeerLink>& link = links_[out.decode.worker];
  if (!link) link = dial_(out.decode);
  if (!link) {
    const WorkerId peer = out.decode.worker;
    links_.erase(peer);
    return Fail(request, absl::UnavailableError(base::StrCat("the decode worker ", peer, " cannot be reached; send the request again")), now);
  }
  ++started_;
  out.link = link;
  link->Send(Reserve{out.request});
}

void HandoffSender::QueueBlock(const Outgoing& out, int ordinal, BlockId block, int first_group, int groups) {
  for (int g = first_group; g < first_group + groups; ++g) {
    Item item;
    item.request = out.request.id;
    item.ordinal = ordinal;
    item.block = block;
    item.group = g;
    queues_[out.link.get()].push_back(std::move(item));
  }
}

void HandoffSender::LayerGroupDone(uint64_t plan, int group) {
  const auto it = pushes_.find(plan);
  if (it == pushes_.end()) return;
  for (const scheduler::PlannedPush& push : it->second) {
    const auto out = outgoing_.find(push.request);
    if (out == outgoing_.end() || !out->second.granted) continue;
    for (const auto& [ordinal, block] : push.blocks) QueueBlock(out->second, ordinal, block, group, 1);
    const std::shared_ptr<PeerLink> link = out->second.link;
    Flush(link);
  }
}

void HandoffSender::PrefillDone(const scheduler::PrefillDone& done, TimePoint now) {
  const auto it = outgoing_.find(done.request);
  if (it == outgoing_.end()) return;
  Outgoing& out = it->second;
  if (std::all_of(done.ended.begin(), done.ended.end(), [](bool e) { return e; })) {  // nothing is left to decode
    out.link->Send(CancelReservation{done.request, out.request.epoch});
    ++completed_;
    outgoing_.erase(it);
    scheduler_.EndHandoff(done.request, OkStatus(), now);
    return;
  }
  Item item;
  item.request = done.request;
  item.commit = {done.request, out.request.epoch, done.first_tokens, std::vector<uint8_t>(done.ended.begin(), done.ended.end())};
  queues_[out.link.get()].push_back(std::move(item));
  const std::shared_ptr<PeerLink> link = out.link;
  Flush(link);
}

bool HandoffSender::SendPush(Outgoing& out, PeerLink& link, const Item& item) {
  const auto slot = link.ring->TakeSlot();
  if (!slot) return false;
  const ExecutorInfo& info = executor_.info();
  const int first_layer = item.group * info.layer_group_layers;
  const int layers = std::min(info.layer_group_layers, static_cast<int>(info.kv_layout.layers.size()) - first_layer);
  uint64_t size = 0;
  for (int l = first_layer; l < first_layer + layers; ++l) size += info.kv_layout.layers[l].bytes;
  const auto memory = link.ring->At(*slot, size);
  const auto begin = std::chrono::steady_clock::now();
  executor_.CopyBlockOut(item.block, first_layer, layers, memory);
  Push push{item.request, out.request.epoch, item.ordinal, first_layer, layers, *slot, size, 0, options_.checksums};
  if (options_.checksums) push.checksum = XXH3_64bits(memory.data(), memory.size());
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (options_.fault.flip_bit && !item.resend && item.ordinal == 0 && item.group == 0) memory[1] ^= std::byte{0x40};
  in_ring_[{&link, *slot}] = item;
  (item.resend ? bytes_resent_ : bytes_) += size;
  if (!item.resend) out.pushed_bytes += size;
  link.Send(push);
  return true;
}

void HandoffSender::Flush(const std::shared_ptr<PeerLink>& link) {
  std::deque<Item>& queue = queues_[link.get()];
  while (!queue.empty()) {
    const auto it = outgoing_.find(queue.front().request);
    if (it != outgoing_.end()) {
      if (queue.front().block >= 0) {
        if (!SendPush(it->second, *link, queue.front())) return;
      } else {
        link->Send(queue.front().commit);
      }
    }
    queue.pop_front();
  }
}

void HandoffSender::Ended(RequestId request) {
  const auto it = outgoing_.find(request);
  if (it == outgoing_.end()) return;
  if (it->second.link) it->second.link->Send(CancelReservation{request, it->second.request.epoch});
  outgoing_.erase(it);
}

void HandoffSender::OnMessage(const std::shared_ptr<PeerLink>& link, PeerMessage message, TimePoint now) {
  if (auto* reply = std::get_if<HelloReply>(&message)) {
    if (!reply->status.ok()) link->socket->Close();
  } else if (auto* reply = std::get_if<ReserveReply>(&message)) {
    const auto it = outgoing_.find(reply->request);
    if (it == outgoing_.end() || it->second.request.epoch != reply->epoch || it->second.granted) return;
    if (!reply->status.ok()) return Fail(reply->request, reply->status, now);
    it->second.granted = true;
    const scheduler::PlannedPush push = scheduler_.Grant(reply->request, reply->cached_blocks, now);
    for (const auto& [ordinal, block] : push.blocks) QueueBlock(it->second, ordinal, block, 0, executor_.info().layer_groups);
    Flush(link);
  } else if (auto* reply = std::get_if<PushReply>(&message)) {
    const auto slot = in_ring_.find({link.get(), reply->offset});
    if (slot == in_ring_.end()) return;
    Item item = std::move(slot->second);
    in_ring_.erase(slot);
    link->ring->GiveBack(reply->offset);
    if (reply->bad && outgoing_.contains(item.request)) {
      if (item.resend) return Fail(item.request, absl::DataLossError("KV blocks arrived damaged twice at the decode worker; send the request again"), now);
      item.resend = true;
      queues_[link.get()].push_front(std::move(item));
    }
    Flush(link);
  } else if (auto* ack = std::get_if<Ack>(&message)) {
    const auto it = outgoing_.find(ack->request);
    if (it == outgoing_.end() || it->second.request.epoch != ack->epoch) return;
    ++completed_;
    outgoing_.erase(it);
    scheduler_.EndHandoff(ack->request, OkStatus(), now);
  }
}

void HandoffSender::OnLost(const std::shared_ptr<PeerLink>& link, TimePoint now) {
  std::vector<RequestId> hit;
  for (const auto& [id, out] : outgoing_)
    if (out.link == link) hit.push_back(id);
  for (const RequestId& id : hit) Fail(id, absl::UnavailableError(base::StrCat("the decode worker ", link->worker, " was lost during the hand-off; send the request again")), now);
  std::erase_if(links_, [&](const auto& entry) { return entry.second == link; });
  std::erase_if(in_ring_, [&](const auto& entry) { return entry.first.first == link.get(); });
  queues_.erase(link.get());
}

void HandoffSender::Report(WorkerReport& report) const {
  report.handoffs_started = started_;
  report.handoffs_completed = completed_;
  report.handoffs_failed = failed_;
  report.handoff_bytes = bytes_;
  report.handoff_bytes_resent = bytes_resent_;
  for (const auto& [worker, link] : links_) report.wires.push_back({worker, "shm", seconds_ > 0 ? static_cast<double>(bytes_) / seconds_ / 1e9 : 0});
}

}  // namespace tokenworks::worker
