// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/handoff/decode_handoff.h"

#include "platform/base/str_cat.h"

namespace tokenworks::kv_transfer {

using namespace decode_event;
using namespace decode_action;
using S = DecodeState;

std::string_view DecodeStateName(DecodeState state) {
  constexpr std::string_view kNames[] = {"waiting", "reserved", "receiving", "delivered",
                                         "active",  "done",     "failed",    "cancelled"};
  return kNames[static_cast<int>(state)];
}

std::vector<DecodeAction> DecodeHandoff::On(const DecodeEvent& event, TimePoint now) {
  Actions out;
  if (!over()) std::visit([&](const auto& e) { Handle(e, now, out); }, event);
  return out;
}

void DecodeHandoff::Enter(DecodeState state, TimePoint now) {
  state_ = state;
  if (state == S::kWaiting)
    deadline_ = now + options_.reservation_wait;
  else if (receives())
    deadline_ = now + options_.compute_wait;
  else if (state == S::kDelivered)
    deadline_ = now + options_.peer_wait;
  else
    deadline_ = TimePoint::max();
}

void DecodeHandoff::Handle(const Reserved& e, TimePoint now, Actions& out) {
  if (state_ != S::kWaiting) return;
  lease_ = e.lease;
  cached_blocks_ = e.cached_blocks;
  prompt_blocks_ = e.prompt_blocks;
  groups_ = e.groups;
  Enter(S::kReserved, now);
  out.push_back(Reply{OkStatus(), lease_, cached_blocks_});
}

void DecodeHandoff::Handle(const Unfit& e, TimePoint now, Actions& out) {
  if (state_ != S::kWaiting) return;
  Enter(S::kFailed, now);
  out.push_back(Reply{e.status});
}

void DecodeHandoff::Handle(const decode_event::Stored& e, TimePoint now, Actions& out) {
  if (!Expects(e.ordinal, e.group)) return;
  stored_.insert({e.ordinal, e.group});
  Enter(S::kReceiving, now);
  DeliverIfComplete(now, out);
}

void DecodeHandoff::Handle(const Committed& e, TimePoint now, Actions& out) {
  if (!receives()) return;
  commit_ = e;
  Enter(S::kReceiving, now);
  DeliverIfComplete(now, out);
}

void DecodeHandoff::DeliverIfComplete(TimePoint now, Actions& out) {
  const size_t expected = static_cast<size_t>(prompt_blocks_ - cached_blocks_) * static_cast<size_t>(groups_);
  if (!commit_ || stored_.size() < expected) return;
  Enter(S::kDelivered, now);
  out.push_back(Activate{std::move(commit_->first_tokens), std::move(commit_->ended)});
}

void DecodeHandoff::Handle(const Activated&, TimePoint now, Actions& out) {
  if (state_ != S::kDelivered) return;
  Enter(S::kActive, now);
  out.push_back(SendAck{OkStatus()});
}

void DecodeHandoff::Handle(const Ended&, TimePoint now, Actions&) {
  if (state_ == S::kActive) Enter(S::kDone, now);
}

void DecodeHandoff::Handle(const PeerCancelled&, TimePoint now, Actions& out) {
  if (state_ == S::kActive) return;  // it came too late: the router ends what runs
  if (state_ != S::kWaiting) out.push_back(Drop{});
  Enter(S::kCancelled, now);
}

void DecodeHandoff::Handle(const Cancelled& e, TimePoint now, Actions& out) {
  if (state_ == S::kActive) return Enter(S::kCancelled, now);  // the scheduler has ended it
  if (state_ == S::kWaiting) {
    out.push_back(Reply{e.status});
  } else {
    out.push_back(Drop{});
    out.push_back(SendAck{e.status});
  }
  Enter(S::kCancelled, now);
}

void DecodeHandoff::Handle(const PeerLost&, TimePoint now, Actions& out) {
  if (state_ == S::kActive) return;  // everything is here: it goes on alone
  if (state_ != S::kWaiting) out.push_back(Drop{});
  Enter(S::kFailed, now);
}

void DecodeHandoff::Handle(const Tick&, TimePoint now, Actions& out) {
  if (now < deadline_) return;
  const auto seconds = [](Duration d) { return std::chrono::duration_cast<std::chrono::seconds>(d).count(); };
  if (state_ == S::kWaiting) {
    out.push_back(Reply{absl::ResourceExhaustedError(
        base::StrCat("the decode worker had no free KV blocks for ", seconds(options_.reservation_wait),
                     " s; lower the load or raise pools.decode.kv_memory"))});
  } else {
    out.push_back(Drop{});
    out.push_back(SendAck{absl::UnavailableError(
        base::StrCat("the prefill worker has sent no KV for ", seconds(options_.compute_wait), " s (",
                     std::string(DecodeStateName(state_)), "); send the request again"))});
  }
  Enter(S::kFailed, now);
}

}  // namespace tokenworks::kv_transfer
