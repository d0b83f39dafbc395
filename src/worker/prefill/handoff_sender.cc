// SPDX-License-Identifier: Apache-2.0
#include "worker/prefill/handoff_sender.h"

#include <xxhash.h>

#include "platform/base/str_cat.h"
#include "worker/layer_group.h"

namespace tokenworks::worker {

using namespace kv_transfer;
namespace event = prefill_event;
namespace action = prefill_action;

namespace {
constexpr uint64_t kStagingShares =
    4;  // pushes that a full staging memory holds at least: one fills while others are read
}  // namespace

void HandoffSender::Assigned(const GenerationRequest& request, const PeerAddress& decode) {
  outgoing_.erase(request.id);
  outgoing_.emplace(request.id, Outgoing{request, decode, nullptr, PrefillHandoff(options_), 0, {}, 0});
}

uint64_t HandoffSender::pushed_bytes(RequestId request) const {
  const auto it = outgoing_.find(request);
  return it == outgoing_.end() ? 0 : it->second.pushed_bytes;
}

double HandoffSender::TakeHandoffMs(RequestId request) {
  const auto node = handoff_ms_.extract(request);
  return node.empty() ? 0 : node.mapped();
}

void HandoffSender::WantsReservation(RequestId request, TimePoint now) { Feed(request, event::Next{}, now); }
void HandoffSender::Ended(RequestId request, TimePoint now) { Feed(request, event::Cancel{}, now); }

void HandoffSender::LayerGroupDone(uint64_t plan, int group, TimePoint now) {
  const auto it = pushes_.find(plan);
  if (it == pushes_.end()) return;
  for (const scheduler::PlannedPush& push : it->second) Feed(push.request, event::Ready{PiecesOf(push, group, 1)}, now);
}

void HandoffSender::PrefillDone(const scheduler::PrefillDone& done, TimePoint now) {
  if (const auto it = outgoing_.find(done.request); it != outgoing_.end()) it->second.prompt_done = now;
  Feed(done.request, event::PromptDone{done.first_tokens, done.ended}, now);
}

void HandoffSender::Tick(TimePoint now) {
  std::vector<RequestId> late;
  for (const auto& [id, out] : outgoing_)
    if (out.machine.deadline() <= now) late.push_back(id);
  for (const RequestId& id : late) Feed(id, event::Tick{}, now);
}

void HandoffSender::Feed(RequestId request, PrefillEvent first, TimePoint now) {
  std::deque<PrefillEvent> events{std::move(first)};
  std::shared_ptr<PeerLink> link;
  while (!events.empty()) {
    const auto it = outgoing_.find(request);
    if (it == outgoing_.end()) break;
    const PrefillEvent next = std::move(events.front());
    events.pop_front();
    for (PrefillAction& a : it->second.machine.On(next, now)) Perform(it->second, std::move(a), now, events);
    link = it->second.link;
    if (it->second.machine.over()) outgoing_.erase(request);
  }
  if (link) Flush(*link);
}

Status HandoffSender::Connect(Outgoing& out) {
  std::shared_ptr<PeerLink>& link = links_[out.decode.worker];
  if (link && link->incarnation != out.decode.incarnation) link.reset();  // its process was restarted
  if (!link) {
    auto dialled = dial_(out.decode);
    if (!dialled.ok()) {
      links_.erase(out.decode.worker);
      return absl::UnavailableError(base::StrCat("the decode worker ", out.decode.worker, " cannot be reached (",
                                                 std::string(dialled.status().message()), "); send the request again"));
    }
    link = std::move(*dialled);
  }
  out.link = link;
  return OkStatus();
}

void HandoffSender::Perform(Outgoing& out, PrefillAction what, TimePoint now, std::deque<PrefillEvent>& next) {
  const RequestId id = out.request.id;
  if (std::holds_alternative<action::SendReserve>(what)) {
    if (out.machine.recomputes() == 0) ++started_;
    if (const Status status = Connect(out); !status.ok()) return next.push_back(event::PeerLost{status});
    out.link->connection->Send(Reserve{out.request});
  } else if (const auto* compute = std::get_if<action::Compute>(&what)) {
    const scheduler::PlannedPush ready = scheduler_.Grant(id, compute->cached_blocks, now);
    next.push_back(event::Ready{PiecesOf(ready, 0, executor_.info().layer_groups)});
  } else if (auto* push = std::get_if<action::SendPush>(&what)) {
    queues_[out.link.get()].push_back({id, *push});
  } else if (auto* commit = std::get_if<action::SendCommit>(&what)) {
    queues_[out.link.get()].push_back({id, std::move(*commit)});
  } else if (std::holds_alternative<action::SendCancel>(what)) {
    if (out.link) out.link->connection->Send(CancelReservation{id, out.request.epoch});
  } else if (std::holds_alternative<action::Recompute>(what)) {
    ++recomputed_;
    scheduler_.Recompute(id);
  } else if (auto* end = std::get_if<action::End>(&what)) {
    completed_ += end->status.ok();
    failed_ += !end->status.ok() && !absl::IsCancelled(end->status);
    if (end->status.ok()) handoff_ms_[id] = Milliseconds(now - out.prompt_done);
    scheduler_.EndHandoff(id, std::move(end->status), now);
  }
}

std::vector<Piece> HandoffSender::PiecesOf(const scheduler::PlannedPush& push, int first_group, int groups) const {
  std::vector<Piece> pieces;
  for (int g = first_group; g < first_group + groups; ++g)
    for (const auto& [ordinal, block] : push.blocks) pieces.push_back({ordinal, block, g, false});
  return pieces;
}

std::vector<Piece> HandoffSender::NextPieces(const std::deque<Outbound>& queue, PeerLink& link) const {
  const auto& first = std::get<action::SendPush>(queue.front().what);
  const uint64_t most = link.connection->staging().size() / kStagingShares;
  const uint64_t bytes = LayerGroupOf(executor_.info(), first.piece.group).bytes;
  std::vector<Piece> pieces{first.piece};
  for (auto it = queue.begin() + 1; it != queue.end() && (pieces.size() + 1) * bytes <= most; ++it) {
    const auto* push = std::get_if<action::SendPush>(&it->what);
    if (push == nullptr || it->request != queue.front().request || push->lease != first.lease) break;
    const Piece& last = pieces.back();
    const Piece& next = push->piece;
    if (next.group != last.group || next.ordinal != last.ordinal + 1 || next.resend != last.resend) break;
    pieces.push_back(next);
  }
  return pieces;
}

Status HandoffSender::Stage(Outgoing& out, PeerLink& link, std::vector<Piece> pieces) {
  const Piece& first = pieces.front();
  const LayerGroup group = LayerGroupOf(executor_.info(), first.group);
  const auto slot = link.connection->TakeSlot(group.bytes * pieces.size());
  if (!slot) return absl::ResourceExhaustedError("the staging memory is full");
  std::vector<BlockId> blocks;
  for (const Piece& p : pieces) blocks.push_back(p.block);
  const auto begin = std::chrono::steady_clock::now();
  if (Status copied = executor_.CopyBlocksOut(blocks, group.first_layer, group.layers, slot->memory); !copied.ok()) {
    link.connection->GiveBack(slot->offset);
    return absl::DataLossError(copied.message());
  }
  Push message{out.request.id,
               out.request.epoch,
               out.machine.lease(),
               first.ordinal,
               static_cast<int>(pieces.size()),
               first.group,
               slot->offset,
               slot->memory.size(),
               {}};
  for (size_t i = 0; options_.checksums && i < pieces.size(); ++i)
    message.checksums.push_back(XXH3_64bits(slot->memory.data() + i * group.bytes, group.bytes));
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (first.ordinal == 0 && first.group == 0 && out.flips < options_.fault.flips) {
    ++out.flips;
    slot->memory[1] ^= std::byte{0x40};
  }
  const bool first_send = !first.resend && out.machine.recomputes() == 0;
  (first_send ? bytes_ : bytes_resent_) += message.bytes;
  if (first_send) out.pushed_bytes += message.bytes;
  staged_[{&link, slot->offset}] = {out.request.id, out.machine.lease(), std::move(pieces)};
  link.connection->Send(message);
  return OkStatus();
}

void HandoffSender::Flush(PeerLink& link) {
  std::deque<Outbound>& queue = queues_[&link];
  while (!queue.empty()) {
    const Outbound& next = queue.front();
    const auto it = outgoing_.find(next.request);
    const Lease lease = std::visit([](const auto& what) { return what.lease; }, next.what);
    if (it == outgoing_.end() || it->second.machine.lease() != lease) {
      queue.pop_front();
      continue;
    }
    Outgoing& out = it->second;
    if (const auto* commit = std::get_if<action::SendCommit>(&next.what)) {
      link.connection->Send(Commit{out.request.id, out.request.epoch, lease, commit->first_tokens, commit->ended});
      queue.pop_front();
      continue;
    }
    std::vector<Piece> pieces = NextPieces(queue, link);
    const auto count = static_cast<std::ptrdiff_t>(pieces.size());
    const Status staged = Stage(out, link, std::move(pieces));
    if (staged.code() == StatusCode::kDataLoss) link.connection->Close();  // what the peer waits for cannot come
    if (!staged.ok()) return;
    queue.erase(queue.begin(), queue.begin() + count);
  }
}

void HandoffSender::OnPushReply(const std::shared_ptr<PeerLink>& link, const PushReply& reply, TimePoint now) {
  const auto slot = staged_.extract({link.get(), reply.offset});
  if (slot.empty()) return;
  link->connection->GiveBack(reply.offset);
  const Staged& staged = slot.mapped();
  for (size_t i = 0; i < staged.pieces.size() && i < reply.verdicts.size(); ++i) {
    const auto it = outgoing_.find(staged.request);
    if (it == outgoing_.end() || it->second.machine.lease() != staged.lease) break;
    if (reply.verdicts[i] == PushVerdict::kDamaged) Feed(staged.request, event::Damaged{staged.pieces[i]}, now);
    if (reply.verdicts[i] == PushVerdict::kStored) Feed(staged.request, event::Stored{staged.pieces[i]}, now);
  }
  Flush(*link);
}

void HandoffSender::OnMessage(const std::shared_ptr<PeerLink>& link, const PeerMessage& message, TimePoint now) {
  const auto is_ours = [&](RequestId id, Epoch epoch) {
    const auto it = outgoing_.find(id);
    return it != outgoing_.end() && it->second.request.epoch == epoch && it->second.link == link;
  };
  if (const auto* hello = std::get_if<HelloReply>(&message)) {
    link->refusal = hello->status;
    if (!hello->status.ok()) link->connection->Close();
  } else if (const auto* reply = std::get_if<ReserveReply>(&message)) {
    if (!is_ours(reply->request, reply->epoch)) return;
    if (reply->status.ok())
      Feed(reply->request, event::Granted{reply->lease, reply->cached_blocks}, now);
    else
      Feed(reply->request, event::Refused{reply->status}, now);
  } else if (const auto* pushed = std::get_if<PushReply>(&message)) {
    OnPushReply(link, *pushed, now);
  } else if (const auto* ack = std::get_if<Ack>(&message)) {
    if (is_ours(ack->request, ack->epoch)) Feed(ack->request, event::Acknowledged{ack->status}, now);
  }
}

void HandoffSender::OnLost(const std::shared_ptr<PeerLink>& link, TimePoint now) {
  std::erase_if(links_, [&](const auto& entry) { return entry.second == link; });
  const Status lost =
      link->refusal.ok() ? absl::UnavailableError(base::StrCat("the decode worker ", link->worker,
                                                               " was lost during the hand-off; send the request again"))
                         : link->refusal;
  std::vector<RequestId> hit;
  for (const auto& [id, out] : outgoing_)
    if (out.link == link) hit.push_back(id);
  for (const RequestId& id : hit) Feed(id, event::PeerLost{lost}, now);
  std::erase_if(staged_, [&](const auto& entry) { return entry.first.first == link.get(); });
  queues_.erase(link.get());
}

void HandoffSender::Report(std::string_view wire, WorkerReport& report) const {
  report.handoffs_started = started_;
  report.handoffs_completed = completed_;
  report.handoffs_failed = failed_;
  report.handoffs_recomputed = recomputed_;
  report.handoff_bytes = bytes_;
  report.handoff_bytes_resent = bytes_resent_;
  const double gigabytes_per_second = seconds_ > 0 ? static_cast<double>(bytes_ + bytes_resent_) / seconds_ / 1e9 : 0;
  for (const auto& [worker, link] : links_) report.wires.push_back({worker, std::string(wire), gigabytes_per_second});
}

}  // namespace tokenworks::worker
