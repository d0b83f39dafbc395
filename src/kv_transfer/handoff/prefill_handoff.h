// SPDX-License-Identifier: Apache-2.0
// The prefill side of one request's hand-off, as a plain state machine: (state, event, now) -> actions.
#pragma once

#include <map>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kv_transfer/options.h"
#include "kv_transfer/peer_messages.h"
#include "tokenworks/clock.h"

namespace tokenworks::kv_transfer {

enum class PrefillState : uint8_t {
  kAccepted,     // waits in the worker's queue
  kReserving,    // the decode worker has been asked
  kComputing,    // blocks are reserved there; pieces leave as they are computed
  kPushing,      // the first token is sampled; pieces are on their way
  kAwaitingAck,  // all pieces have arrived
  kDone,
  kFailed,
  kCancelled,
};
std::string_view PrefillStateName(PrefillState state);

// One block's part of one layer group.
struct Piece {
  int ordinal = 0;  // of the block in the prompt
  BlockId block = 0;
  int group = 0;
  bool resend = false;
};

namespace prefill_event {
struct Next {};  // the request is next in the queue
struct Granted {
  Lease lease = 0;
  int cached_blocks = 0;
};
struct Refused {
  Status status;
};
struct Ready {  // these are computed
  std::vector<Piece> pieces;
};
struct PromptDone {
  std::vector<SampledToken> first_tokens;
  std::vector<bool> ended;
};
struct Stored {
  Piece piece;
};
struct Damaged {
  Piece piece;
};
struct Acknowledged {
  Status status;
};
struct PeerLost {
  Status status;
};
struct Cancel {};  // the request is over on this worker, for a reason of its own
struct Tick {};
}  // namespace prefill_event
using PrefillEvent =
    std::variant<prefill_event::Next, prefill_event::Granted, prefill_event::Refused, prefill_event::Ready,
                 prefill_event::PromptDone, prefill_event::Stored, prefill_event::Damaged, prefill_event::Acknowledged,
                 prefill_event::PeerLost, prefill_event::Cancel, prefill_event::Tick>;

namespace prefill_action {
struct SendReserve {};
struct Compute {  // the scheduler may run the prompt; what it finds computed comes back as Ready
  int cached_blocks = 0;
};
struct SendPush {
  Lease lease = 0;
  Piece piece;
};
struct SendCommit {  // after all pushes before it
  Lease lease = 0;
  std::vector<SampledToken> first_tokens;
  std::vector<bool> ended;
};
struct SendCancel {};  // the reservation is not wanted any more
struct Recompute {};   // the prompt goes back to the queue
struct End {           // the last one: blocks may go
  Status status;
};
}  // namespace prefill_action
using PrefillAction = std::variant<prefill_action::SendReserve, prefill_action::Compute, prefill_action::SendPush,
                                   prefill_action::SendCommit, prefill_action::SendCancel, prefill_action::Recompute,
                                   prefill_action::End>;

// Every (state, event) pair is defined; what a state has no use for (late replies, events after the end) is ignored.
class PrefillHandoff {
 public:
  explicit PrefillHandoff(const HandoffOptions& options) : options_(options) {}

  std::vector<PrefillAction> On(const PrefillEvent& event, TimePoint now);

  PrefillState state() const { return state_; }
  bool over() const { return state_ >= PrefillState::kDone; }
  Lease lease() const { return lease_; }
  int recomputes() const { return recomputes_; }
  // When Tick matters next.
  TimePoint deadline() const { return deadline_; }

 private:
  using Actions = std::vector<PrefillAction>;
  void Enter(PrefillState state, TimePoint now);
  void Handle(const prefill_event::Next&, TimePoint now, Actions& out);
  void Handle(const prefill_event::Granted&, TimePoint now, Actions& out);
  void Handle(const prefill_event::Refused&, TimePoint now, Actions& out);
  void Handle(const prefill_event::Ready&, TimePoint now, Actions& out);
  void Handle(const prefill_event::PromptDone&, TimePoint now, Actions& out);
  void Handle(const prefill_event::Stored&, TimePoint now, Actions& out);
  void Handle(const prefill_event::Damaged&, TimePoint now, Actions& out);
  void Handle(const prefill_event::Acknowledged&, TimePoint now, Actions& out);
  void Handle(const prefill_event::PeerLost&, TimePoint now, Actions& out);
  void Handle(const prefill_event::Cancel&, TimePoint now, Actions& out);
  void Handle(const prefill_event::Tick&, TimePoint now, Actions& out);
  void StartAgain(TimePoint now, Actions& out);
  void Fail(Status status, bool tell_peer, TimePoint now, Actions& out);

  const HandoffOptions options_;
  PrefillState state_ = PrefillState::kAccepted;
  TimePoint deadline_ = TimePoint::max();
  Lease lease_ = 0;
  int outstanding_ = 0;  // pieces that the other side has not answered
  int recomputes_ = 0;
  bool broken_ = false;  // damaged twice while the prompt was computed: start again when that is done
};

}  // namespace tokenworks::kv_transfer
