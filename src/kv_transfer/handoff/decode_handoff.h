// SPDX-License-Identifier: Apache-2.0
// The decode side of one request's hand-off, as a plain state machine: (state, event, now) -> actions.
#pragma once

#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kv_transfer/options.h"
#include "kv_transfer/peer_messages.h"
#include "tokenworks/clock.h"

namespace tokenworks::kv_transfer {

enum class DecodeState : uint8_t {
  kWaiting,    // asked for; no blocks are free yet
  kReserved,   // blocks are held, nothing has arrived
  kReceiving,  // pieces arrive
  kDelivered,  // everything is here and verified; the scheduler is told
  kActive,     // the sequences run
  kDone,
  kFailed,
  kCancelled,
};
std::string_view DecodeStateName(DecodeState state);

namespace decode_event {
struct Reserved {  // the scheduler has given blocks
  Lease lease = 0;
  int cached_blocks = 0, prompt_blocks = 0, groups = 0;
};
struct Unfit {  // it never will
  Status status;
};
struct Stored {  // one piece, verified
  int ordinal = 0, group = 0;
};
struct Committed {
  std::vector<SampledToken> first_tokens;
  std::vector<bool> ended;
};
struct Activated {};      // the scheduler runs the sequences
struct Ended {};          // … and has ended the request
struct PeerCancelled {};  // the prefill side does not want the reservation any more
struct Cancelled {        // the request is over, says the router
  Status status;
};
struct PeerLost {};
struct Tick {};
}  // namespace decode_event
using DecodeEvent =
    std::variant<decode_event::Reserved, decode_event::Unfit, decode_event::Stored, decode_event::Committed,
                 decode_event::Activated, decode_event::Ended, decode_event::PeerCancelled, decode_event::Cancelled,
                 decode_event::PeerLost, decode_event::Tick>;

namespace decode_action {
struct Reply {  // to the reservation
  Status status;
  Lease lease = 0;
  int cached_blocks = 0;
};
struct Activate {
  std::vector<SampledToken> first_tokens;
  std::vector<bool> ended;
};
struct SendAck {
  Status status;
};
struct Drop {};  // the reservation's blocks return
}  // namespace decode_action
using DecodeAction =
    std::variant<decode_action::Reply, decode_action::Activate, decode_action::SendAck, decode_action::Drop>;

// Every (state, event) pair is defined; what a state has no use for is ignored.
class DecodeHandoff {
 public:
  DecodeHandoff(const HandoffOptions& options, TimePoint now) : options_(options) { Enter(DecodeState::kWaiting, now); }

  std::vector<DecodeAction> On(const DecodeEvent& event, TimePoint now);

  DecodeState state() const { return state_; }
  bool over() const { return state_ >= DecodeState::kDone; }
  bool receives() const { return state_ == DecodeState::kReserved || state_ == DecodeState::kReceiving; }
  Lease lease() const { return lease_; }
  TimePoint deadline() const { return deadline_; }
  // Whether this piece belongs to the reservation.
  bool Expects(int ordinal, int group) const {
    return receives() && ordinal >= cached_blocks_ && ordinal < prompt_blocks_ && group >= 0 && group < groups_;
  }

 private:
  using Actions = std::vector<DecodeAction>;
  void Enter(DecodeState state, TimePoint now);
  void Handle(const decode_event::Reserved&, TimePoint now, Actions& out);
  void Handle(const decode_event::Unfit&, TimePoint now, Actions& out);
  void Handle(const decode_event::Stored&, TimePoint now, Actions& out);
  void Handle(const decode_event::Committed&, TimePoint now, Actions& out);
  void Handle(const decode_event::Activated&, TimePoint now, Actions& out);
  void Handle(const decode_event::Ended&, TimePoint now, Actions& out);
  void Handle(const decode_event::PeerCancelled&, TimePoint now, Actions& out);
  void Handle(const decode_event::Cancelled&, TimePoint now, Actions& out);
  void Handle(const decode_event::PeerLost&, TimePoint now, Actions& out);
  void Handle(const decode_event::Tick&, TimePoint now, Actions& out);
  void DeliverIfComplete(TimePoint now, Actions& out);

  const HandoffOptions options_;
  DecodeState state_ = DecodeState::kWaiting;
  TimePoint deadline_ = TimePoint::max();
  Lease lease_ = 0;
  int cached_blocks_ = 0, prompt_blocks_ = 0, groups_ = 0;
  std::set<std::pair<int, int>> stored_;  // (ordinal, group)
  std::optional<decode_event::Committed> commit_;
};

}  // namespace tokenworks::kv_transfer
