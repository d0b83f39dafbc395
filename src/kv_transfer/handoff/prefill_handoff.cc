// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/handoff/prefill_handoff.h"

#include <algorithm>

#include "platform/base/str_cat.h"

namespace tokenworks::kv_transfer {

using namespace prefill_event;
using namespace prefill_action;
using S = PrefillState;

std::string_view PrefillStateName(PrefillState state) {
  constexpr std::string_view kNames[] = {"accepted",     "reserving", "computing", "pushing",
                                         "awaiting_ack", "done",      "failed",    "cancelled"};
  return kNames[static_cast<int>(state)];
}

std::vector<PrefillAction> PrefillHandoff::On(const PrefillEvent& event, TimePoint now) {
  Actions out;
  if (!over()) std::visit([&](const auto& e) { Handle(e, now, out); }, event);
  return out;
}

void PrefillHandoff::Enter(PrefillState state, TimePoint now) {
  state_ = state;
  const bool waits_for_peer = state == S::kReserving || state == S::kPushing || state == S::kAwaitingAck;
  // The decode worker refuses by itself after its own wait; longer than both together is silence.
  const Duration wait = state == S::kReserving ? options_.reservation_wait + options_.peer_wait : options_.peer_wait;
  deadline_ = waits_for_peer ? now + wait : TimePoint::max();
}

void PrefillHandoff::Fail(Status status, bool tell_peer, TimePoint now, Actions& out) {
  if (tell_peer && state_ != S::kAccepted) out.push_back(SendCancel{});
  Enter(S::kFailed, now);
  out.push_back(End{std::move(status)});
}

void PrefillHandoff::Handle(const Next&, TimePoint now, Actions& out) {
  if (state_ != S::kAccepted) return;
  Enter(S::kReserving, now);
  out.push_back(SendReserve{});
}

void PrefillHandoff::Handle(const Granted& e, TimePoint now, Actions& out) {
  if (state_ != S::kReserving) return;
  lease_ = e.lease;
  Enter(S::kComputing, now);
  out.push_back(Compute{e.cached_blocks});
}

void PrefillHandoff::Handle(const Refused& e, TimePoint now, Actions& out) {
  if (state_ == S::kReserving) Fail(e.status, false, now, out);
}

void PrefillHandoff::Handle(const Ready& e, TimePoint, Actions& out) {
  if (state_ != S::kComputing || broken_) return;
  for (const Piece& piece : e.pieces) out.push_back(SendPush{lease_, piece});
  outstanding_ += static_cast<int>(e.pieces.size());
}

void PrefillHandoff::Handle(const PromptDone& e, TimePoint now, Actions& out) {
  if (state_ != S::kComputing) return;
  if (std::all_of(e.ended.begin(), e.ended.end(), [](bool ended) { return ended; })) {  // nothing is left to decode
    out.push_back(SendCancel{});
    Enter(S::kDone, now);
    return out.push_back(End{OkStatus()});
  }
  if (broken_) return StartAgain(now, out);
  out.push_back(SendCommit{lease_, e.first_tokens, e.ended});
  Enter(outstanding_ > 0 ? S::kPushing : S::kAwaitingAck, now);
}

void PrefillHandoff::Handle(const Stored&, TimePoint now, Actions&) {
  if (state_ != S::kComputing && state_ != S::kPushing) return;
  --outstanding_;
  if (state_ == S::kPushing) Enter(outstanding_ > 0 ? S::kPushing : S::kAwaitingAck, now);
}

void PrefillHandoff::Handle(const Damaged& e, TimePoint now, Actions& out) {
  if (state_ != S::kComputing && state_ != S::kPushing) return;
  if (broken_) return;
  if (!e.piece.resend) {
    Piece again = e.piece;
    again.resend = true;
    return out.push_back(SendPush{lease_, again});
  }
  if (recomputes_ >= options_.recomputes_max)
    return Fail(
        absl::DataLossError(base::StrCat("KV blocks arrived damaged at the decode worker, also after ", recomputes_,
                                         " recomputation(s); check that machine's memory, and send the request again")),
        true, now, out);
  if (state_ == S::kPushing) return StartAgain(now, out);
  broken_ = true;
}

void PrefillHandoff::StartAgain(TimePoint now, Actions& out) {
  ++recomputes_;
  broken_ = false;
  outstanding_ = 0;
  lease_ = 0;
  out.push_back(SendCancel{});
  Enter(S::kAccepted, now);
  out.push_back(Recompute{});
}

void PrefillHandoff::Handle(const Acknowledged& e, TimePoint now, Actions& out) {
  if (state_ == S::kAccepted || state_ == S::kReserving) return;  // of an earlier attempt
  if (!e.status.ok()) return Fail(e.status, false, now, out);
  if (state_ == S::kComputing) return;
  Enter(S::kDone, now);
  out.push_back(End{OkStatus()});
}

void PrefillHandoff::Handle(const PeerLost& e, TimePoint now, Actions& out) {
  if (state_ != S::kAccepted) Fail(e.status, false, now, out);  // before that nobody has been asked
}

void PrefillHandoff::Handle(const Cancel&, TimePoint now, Actions& out) {
  if (state_ != S::kAccepted) out.push_back(SendCancel{});
  Enter(S::kCancelled, now);
}

void PrefillHandoff::Handle(const Tick&, TimePoint now, Actions& out) {
  if (now < deadline_) return;
  Fail(absl::UnavailableError(base::StrCat("the decode worker has not answered for ",
                                           std::chrono::duration_cast<std::chrono::seconds>(options_.peer_wait).count(),
                                           " s (", std::string(PrefillStateName(state_)), "); send the request again")),
       true, now, out);
}

}  // namespace tokenworks::kv_transfer
