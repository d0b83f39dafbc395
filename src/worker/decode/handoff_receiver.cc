// SPDX-License-Identifier: Apache-2.0
#include "worker/decode/handoff_receiver.h"

#include <xxhash.h>

#include <algorithm>

#include "kv_transfer/convert.h"
#include "worker/layer_group.h"

namespace tokenworks::worker {

using namespace kv_transfer;
namespace event = decode_event;
namespace action = decode_action;

namespace {
constexpr size_t kCancelledRemembered = 1024;
const char kCancelledSentence[] = "the request was cancelled";

// In which a peer pushes each block.
int GroupsOf(const PeerLink& link) {
  const int layers = static_cast<int>(link.layout.layers.size());
  return (layers + link.group_layers - 1) / link.group_layers;
}

}  // namespace

HandoffReceiver::Incoming* HandoffReceiver::Find(const std::shared_ptr<PeerLink>& link, RequestId request,
                                                 Epoch epoch) {
  const auto it = incoming_.find(request);
  return it != incoming_.end() && it->second.link == link && it->second.request.epoch == epoch ? &it->second : nullptr;
}

void HandoffReceiver::Cancelled(RequestId request, TimePoint now) {
  cancelled_.push_back(request);
  if (cancelled_.size() > kCancelledRemembered) cancelled_.pop_front();
  Feed(request, event::Cancelled{absl::CancelledError(kCancelledSentence)}, now);
}

void HandoffReceiver::Ended(RequestId request, TimePoint now) { Feed(request, event::Ended{}, now); }

void HandoffReceiver::Tick(TimePoint now) {
  while (!waiting_.empty() && TryReserve(waiting_.front(), now)) waiting_.pop_front();
  std::vector<RequestId> late;
  for (const auto& [id, in] : incoming_)
    if (in.machine.deadline() <= now) late.push_back(id);
  for (const RequestId& id : late) Feed(id, event::Tick{}, now);
}

void HandoffReceiver::Feed(RequestId request, const DecodeEvent& first, TimePoint now) {
  std::deque<DecodeEvent> events{first};
  while (!events.empty()) {
    const auto it = incoming_.find(request);
    if (it == incoming_.end()) return;
    const DecodeEvent next = std::move(events.front());
    events.pop_front();
    for (const DecodeAction& a : it->second.machine.On(next, now)) Perform(it->second, a, now, events);
    if (it->second.machine.over()) incoming_.erase(it);
  }
}

void HandoffReceiver::Perform(Incoming& in, const DecodeAction& what, TimePoint now, std::deque<DecodeEvent>& next) {
  const RequestId id = in.request.id;
  const Epoch epoch = in.request.epoch;
  if (const auto* reply = std::get_if<action::Reply>(&what)) {
    in.link->connection->Send(ReserveReply{id, epoch, reply->lease, reply->status, reply->cached_blocks});
  } else if (const auto* activate = std::get_if<action::Activate>(&what)) {
    if (scheduler_.Activate(id, activate->first_tokens, activate->ended, now))
      next.push_back(event::Activated{});
    else
      next.push_back(event::Cancelled{absl::CancelledError(kCancelledSentence)});
  } else if (const auto* ack = std::get_if<action::SendAck>(&what)) {
    in.link->connection->Send(Ack{id, epoch, ack->status});
  } else {
    scheduler_.DropReservation(id);
  }
}

void HandoffReceiver::OnReserve(const std::shared_ptr<PeerLink>& link, const GenerationRequest& request,
                                TimePoint now) {
  const RequestId id = request.id;
  const auto refuse = [&](Status status) {
    link->connection->Send(ReserveReply{id, request.epoch, 0, std::move(status), 0});
  };
  if (std::find(cancelled_.begin(), cancelled_.end(), id) != cancelled_.end())
    return refuse(absl::CancelledError(kCancelledSentence));
  if (incoming_.contains(id)) return refuse(absl::AlreadyExistsError("this request has a reservation already"));
  if (static_cast<int>(waiting_.size()) >= options_.reservations_waiting_max)
    return refuse(absl::ResourceExhaustedError("the decode worker's reservation queue is full"));
  incoming_.emplace(id, Incoming{link, request, DecodeHandoff(options_, now), {}});
  if (waiting_.empty() && TryReserve(id, now)) return;
  waiting_.push_back(id);
}

bool HandoffReceiver::TryReserve(RequestId request, TimePoint now) {
  const auto it = incoming_.find(request);
  if (it == incoming_.end() || it->second.machine.state() != DecodeState::kWaiting) return true;
  Incoming& in = it->second;
  auto reservation = scheduler_.Reserve(in.request, now);
  if (!reservation.ok()) {
    if (reservation.status().code() == StatusCode::kResourceExhausted) return false;
    Feed(request, event::Unfit{reservation.status()}, now);
    return true;
  }
  in.blocks = std::move(reservation->blocks);
  const int prompt_blocks = (static_cast<int>(in.request.prompt.size()) + kBlockTokens - 1) / kBlockTokens;
  Feed(request, event::Reserved{next_lease_++, reservation->cached_blocks, prompt_blocks, GroupsOf(*in.link)}, now);
  return true;
}

// What is good moves together, so that all of it goes into the executor at once.
StatusOr<std::vector<PushVerdict>> HandoffReceiver::Store(const Incoming& in, const Push& push,
                                                          std::span<const std::byte> staged) {
  const KvLayout& own = executor_.info().kv_layout;
  const LayerGroup group = LayerGroupOf(in.link->layout, in.link->group_layers, push.group);
  const bool converts = in.link->layout != own;
  const size_t own_bytes = converts ? LayerGroupOf(own, in.link->group_layers, push.group).bytes : group.bytes;
  const std::span<std::byte> copy = copy_.First(staged.size());
  const std::span<std::byte> values = converts ? converted_.First(own_bytes * push.blocks) : copy;
  std::copy(staged.begin(), staged.end(), copy.begin());  // verified where the sender cannot change it any more
  std::vector<PushVerdict> verdicts(push.blocks, PushVerdict::kUnknown);
  std::vector<BlockId> blocks;
  for (int i = 0; i < push.blocks; ++i) {
    if (!in.machine.Expects(push.ordinal + i, push.group)) continue;
    const std::span<const std::byte> block = copy.subspan(i * group.bytes, group.bytes);
    verdicts[i] = push.checksums.empty() || XXH3_64bits(block.data(), block.size()) == push.checksums[i]
                      ? PushVerdict::kStored
                      : PushVerdict::kDamaged;
    if (verdicts[i] == PushVerdict::kDamaged) continue;
    const std::span<std::byte> to = values.subspan(blocks.size() * own_bytes, own_bytes);
    if (converts)
      ConvertLayers(in.link->layout, own, group.first_layer, group.layers, block, to);
    else if (to.data() != block.data())
      std::copy(block.begin(), block.end(), to.begin());
    blocks.push_back(in.blocks[push.ordinal + i]);
  }
  if (!blocks.empty())
    TW_RETURN_IF_ERROR(
        executor_.CopyBlocksIn(blocks, group.first_layer, group.layers, values.first(blocks.size() * own_bytes)));
  return verdicts;
}

void HandoffReceiver::OnPush(const std::shared_ptr<PeerLink>& link, const Push& push, TimePoint now) {
  const auto staged = link->connection->Staged(push.offset, push.bytes);
  if (!staged) return link->connection->Close();  // no peer of ours points outside its memory
  std::vector<PushVerdict> verdicts;
  const Incoming* in = Find(link, push.request, push.epoch);
  if (in != nullptr && in->machine.lease() == push.lease && in->machine.receives()) {
    const bool sized = push.ordinal >= 0 && push.group >= 0 && push.group < GroupsOf(*link) &&
                       (push.checksums.empty() || push.checksums.size() == static_cast<size_t>(push.blocks)) &&
                       push.bytes == LayerGroupOf(link->layout, link->group_layers, push.group).bytes * push.blocks;
    if (!sized || in->blocks.size() < static_cast<size_t>(push.ordinal) + push.blocks) return link->connection->Close();
    auto stored = Store(*in, push, *staged);
    if (!stored.ok()) return link->connection->Close();  // the device is lost
    verdicts = *std::move(stored);
  }
  link->connection->Send(PushReply{push.request, push.epoch, push.offset, verdicts});
  for (size_t i = 0; i < verdicts.size(); ++i)
    if (verdicts[i] == PushVerdict::kStored)
      Feed(push.request, event::Stored{push.ordinal + static_cast<int>(i), push.group}, now);
}

void HandoffReceiver::OnMessage(const std::shared_ptr<PeerLink>& link, const PeerMessage& message, TimePoint now) {
  if (const auto* reserve = std::get_if<Reserve>(&message)) {
    OnReserve(link, reserve->request, now);
  } else if (const auto* push = std::get_if<Push>(&message)) {
    OnPush(link, *push, now);
  } else if (const auto* commit = std::get_if<Commit>(&message)) {
    const Incoming* in = Find(link, commit->request, commit->epoch);
    if (in == nullptr || in->machine.lease() != commit->lease) return;
    if (commit->first_tokens.size() != in->request.n) return link->connection->Close();
    Feed(commit->request, event::Committed{commit->first_tokens, commit->ended}, now);
  } else if (const auto* cancel = std::get_if<CancelReservation>(&message)) {
    if (Find(link, cancel->request, cancel->epoch) != nullptr) Feed(cancel->request, event::PeerCancelled{}, now);
  }
}

void HandoffReceiver::OnLost(const std::shared_ptr<PeerLink>& link, TimePoint now) {
  std::vector<RequestId> hit;
  for (const auto& [id, in] : incoming_)
    if (in.link == link) hit.push_back(id);
  for (const RequestId& id : hit) Feed(id, event::PeerLost{}, now);
}

}  // namespace tokenworks::worker
