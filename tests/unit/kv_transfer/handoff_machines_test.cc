// SPDX-License-Identifier: Apache-2.0
// Both hand-off machines against their transition tables: every (state, event) pair.
#include <gtest/gtest.h>

#include <map>

#include "kv_transfer/handoff/decode_handoff.h"
#include "kv_transfer/handoff/prefill_handoff.h"

namespace tokenworks::kv_transfer {
namespace {

const TimePoint kStart = ManualClock().Now();
const Status kGone = absl::UnavailableError("gone");

template <typename Action, typename Actions>
int Count(const Actions& actions) {
  int n = 0;
  for (const auto& a : actions) n += std::holds_alternative<Action>(a);
  return n;
}

using P = PrefillState;

// A machine in the given state, reached by the ordinary way. One piece is out in kComputing and kPushing.
PrefillHandoff PrefillIn(P state, const HandoffOptions& options = {}) {
  using namespace prefill_event;
  PrefillHandoff m(options);
  const auto on = [&](PrefillEvent e) { m.On(e, kStart); };
  if (state == P::kAccepted) return m;
  if (state == P::kCancelled) return on(Cancel{}), std::move(m);
  on(Next{});
  if (state == P::kReserving) return m;
  if (state == P::kFailed) return on(Refused{kGone}), std::move(m);
  on(Granted{7, 0});
  on(Ready{{{0, 3, 0, false}}});
  if (state == P::kComputing) return m;
  on(PromptDone{{{5, 0, {}}}, {false}});
  if (state == P::kPushing) return m;
  on(Stored{{0, 3, 0, false}});
  if (state == P::kAwaitingAck) return m;
  on(Acknowledged{OkStatus()});
  return m;
}

const std::vector<P> kPrefillStates = {P::kAccepted,    P::kReserving, P::kComputing, P::kPushing,
                                       P::kAwaitingAck, P::kDone,      P::kFailed,    P::kCancelled};

std::vector<std::pair<std::string, PrefillEvent>> PrefillEvents() {
  using namespace prefill_event;
  return {{"next", Next{}},
          {"granted", Granted{8, 0}},
          {"refused", Refused{kGone}},
          {"ready", Ready{{{1, 4, 0, false}}}},
          {"prompt_done", PromptDone{{{5, 0, {}}}, {false}}},
          {"prompt_done_all_ended", PromptDone{{{5, 0, {}}}, {true}}},
          {"stored", Stored{{0, 3, 0, false}}},
          {"damaged", Damaged{{0, 3, 0, false}}},
          {"damaged_again", Damaged{{0, 3, 0, true}}},
          {"ack", Acknowledged{OkStatus()}},
          {"nack", Acknowledged{kGone}},
          {"peer_lost", PeerLost{kGone}},
          {"cancel", Cancel{}},
          {"tick", Tick{}}};
}

// Where an event leads; what is not listed stays.
const std::map<std::string, std::map<P, P>> kPrefillTable = {
    {"next", {{P::kAccepted, P::kReserving}}},
    {"granted", {{P::kReserving, P::kComputing}}},
    {"refused", {{P::kReserving, P::kFailed}}},
    {"ready", {}},
    {"prompt_done", {{P::kComputing, P::kPushing}}},
    {"prompt_done_all_ended", {{P::kComputing, P::kDone}}},
    {"stored", {{P::kPushing, P::kAwaitingAck}}},
    {"damaged", {}},
    {"damaged_again", {{P::kPushing, P::kAccepted}}},
    {"ack", {{P::kPushing, P::kDone}, {P::kAwaitingAck, P::kDone}}},
    {"nack", {{P::kComputing, P::kFailed}, {P::kPushing, P::kFailed}, {P::kAwaitingAck, P::kFailed}}},
    {"peer_lost",
     {{P::kReserving, P::kFailed},
      {P::kComputing, P::kFailed},
      {P::kPushing, P::kFailed},
      {P::kAwaitingAck, P::kFailed}}},
    {"cancel",
     {{P::kAccepted, P::kCancelled},
      {P::kReserving, P::kCancelled},
      {P::kComputing, P::kCancelled},
      {P::kPushing, P::kCancelled},
      {P::kAwaitingAck, P::kCancelled}}},
    {"tick", {}}};

TEST(PrefillHandoff, EveryStateAndEvent) {
  for (const P from : kPrefillStates)
    for (const auto& [name, event] : PrefillEvents()) {
      PrefillHandoff m = PrefillIn(from);
      ASSERT_EQ(m.state(), from);
      const auto actions = m.On(event, kStart + std::chrono::seconds(1));
      const auto& row = kPrefillTable.at(name);
      const P expected = row.contains(from) ? row.at(from) : from;
      EXPECT_EQ(PrefillStateName(m.state()), PrefillStateName(expected)) << PrefillStateName(from) << " on " << name;
      const bool ended_now = from < P::kDone && (m.state() == P::kDone || m.state() == P::kFailed);
      EXPECT_EQ(Count<prefill_action::End>(actions), ended_now ? 1 : 0) << PrefillStateName(from) << " on " << name;
      if (from >= P::kDone) {
        EXPECT_TRUE(actions.empty()) << "after the end nothing happens";
      }
    }
}

TEST(PrefillHandoff, EveryWaitForThePeerHasADeadline) {
  const HandoffOptions options;
  for (const P state : {P::kReserving, P::kPushing, P::kAwaitingAck}) {
    PrefillHandoff m = PrefillIn(state);
    const TimePoint deadline = m.deadline();
    ASSERT_LE(deadline, kStart + options.reservation_wait + options.peer_wait);
    EXPECT_TRUE(m.On(prefill_event::Tick{}, deadline - Duration(1)).empty());
    const auto actions = m.On(prefill_event::Tick{}, deadline);
    EXPECT_EQ(m.state(), P::kFailed);
    EXPECT_EQ(Count<prefill_action::SendCancel>(actions), 1) << "the other side is told";
  }
}

TEST(PrefillHandoff, ProgressMovesTheDeadline) {
  using namespace prefill_event;
  PrefillHandoff m = PrefillIn(P::kComputing);
  m.On(Ready{{{1, 4, 0, false}}}, kStart);
  m.On(PromptDone{{{5, 0, {}}}, {false}}, kStart);
  const TimePoint first = m.deadline();
  m.On(Stored{{0, 3, 0, false}}, kStart + std::chrono::seconds(5));
  EXPECT_EQ(m.state(), P::kPushing);
  EXPECT_EQ(m.deadline(), first + std::chrono::seconds(5));
}

// Nothing is left to decode: what arrived damaged is not needed any more.
TEST(PrefillHandoff, DamageToAPromptWhoseFirstTokensAreItsLastIsNoMatter) {
  using namespace prefill_event;
  PrefillHandoff m = PrefillIn(P::kComputing);
  m.On(Damaged{{0, 3, 0, true}}, kStart);
  const auto actions = m.On(PromptDone{{{5, 0, {}}}, {true}}, kStart);
  EXPECT_EQ(m.state(), P::kDone);
  ASSERT_FALSE(actions.empty());
  ASSERT_TRUE(std::holds_alternative<prefill_action::End>(actions.back()));
  EXPECT_TRUE(std::get<prefill_action::End>(actions.back()).status.ok());
}

TEST(PrefillHandoff, DamageIsResentOnceThenRecomputedOnceThenFails) {
  using namespace prefill_event;
  PrefillHandoff m = PrefillIn(P::kComputing);
  auto actions = m.On(Damaged{{0, 3, 0, false}}, kStart);
  ASSERT_EQ(Count<prefill_action::SendPush>(actions), 1);
  EXPECT_TRUE(std::get<prefill_action::SendPush>(actions[0]).piece.resend);
  EXPECT_TRUE(m.On(Damaged{{0, 3, 0, true}}, kStart).empty()) << "the step under way is let run to its end";
  EXPECT_TRUE(m.On(Ready{{{1, 4, 0, false}}}, kStart).empty()) << "nothing more is sent for nothing";
  actions = m.On(PromptDone{{{5, 0, {}}}, {false}}, kStart);
  EXPECT_EQ(m.state(), P::kAccepted);
  EXPECT_EQ(Count<prefill_action::SendCancel>(actions), 1);
  EXPECT_EQ(Count<prefill_action::Recompute>(actions), 1);
  m.On(Next{}, kStart);
  m.On(Granted{9, 0}, kStart);
  EXPECT_EQ(m.lease(), 9u);
  m.On(Ready{{{0, 3, 0, false}}}, kStart);
  m.On(Damaged{{0, 3, 0, false}}, kStart);
  actions = m.On(Damaged{{0, 3, 0, true}}, kStart);
  ASSERT_EQ(m.state(), P::kFailed);
  EXPECT_EQ(std::get<prefill_action::End>(actions.back()).status.code(), StatusCode::kDataLoss);
}

using D = DecodeState;

// Two blocks of one group are expected; one has arrived in kReceiving.
DecodeHandoff DecodeIn(D state) {
  using namespace decode_event;
  DecodeHandoff m(HandoffOptions{}, kStart);
  const auto on = [&](DecodeEvent e) { m.On(e, kStart); };
  if (state == D::kWaiting) return m;
  if (state == D::kFailed) return on(Unfit{kGone}), std::move(m);
  if (state == D::kCancelled) return on(Cancelled{kGone}), std::move(m);
  on(Reserved{7, 0, 2, 1});
  if (state == D::kReserved) return m;
  on(Stored{0, 0});
  if (state == D::kReceiving) return m;
  on(Committed{{{5, 0, {}}}, {false}});
  on(Stored{1, 0});
  if (state == D::kDelivered) return m;
  on(Activated{});
  if (state == D::kActive) return m;
  on(Ended{});
  return m;
}

const std::vector<D> kDecodeStates = {D::kWaiting, D::kReserved, D::kReceiving, D::kDelivered,
                                      D::kActive,  D::kDone,     D::kFailed,    D::kCancelled};

std::vector<std::pair<std::string, DecodeEvent>> DecodeEvents() {
  using namespace decode_event;
  return {{"reserved", Reserved{8, 0, 2, 1}},
          {"unfit", Unfit{kGone}},
          {"stored", Stored{1, 0}},
          {"stored_foreign", Stored{9, 0}},
          {"committed", Committed{{{5, 0, {}}}, {false}}},
          {"activated", Activated{}},
          {"ended", Ended{}},
          {"peer_cancelled", PeerCancelled{}},
          {"cancelled", Cancelled{kGone}},
          {"peer_lost", PeerLost{}},
          {"tick", Tick{}}};
}

const std::map<std::string, std::map<D, D>> kDecodeTable = {
    {"reserved", {{D::kWaiting, D::kReserved}}},
    {"unfit", {{D::kWaiting, D::kFailed}}},
    {"stored", {{D::kReserved, D::kReceiving}}},
    {"stored_foreign", {}},
    {"committed", {{D::kReserved, D::kReceiving}}},
    {"activated", {{D::kDelivered, D::kActive}}},
    {"ended", {{D::kActive, D::kDone}}},
    {"peer_cancelled",
     {{D::kWaiting, D::kCancelled},
      {D::kReserved, D::kCancelled},
      {D::kReceiving, D::kCancelled},
      {D::kDelivered, D::kCancelled}}},
    {"cancelled",
     {{D::kWaiting, D::kCancelled},
      {D::kReserved, D::kCancelled},
      {D::kReceiving, D::kCancelled},
      {D::kDelivered, D::kCancelled},
      {D::kActive, D::kCancelled}}},
    {"peer_lost",
     {{D::kWaiting, D::kFailed}, {D::kReserved, D::kFailed}, {D::kReceiving, D::kFailed}, {D::kDelivered, D::kFailed}}},
    {"tick", {}}};

TEST(DecodeHandoff, EveryStateAndEvent) {
  for (const D from : kDecodeStates)
    for (const auto& [name, event] : DecodeEvents()) {
      DecodeHandoff m = DecodeIn(from);
      ASSERT_EQ(m.state(), from);
      const auto actions = m.On(event, kStart + std::chrono::seconds(1));
      const auto& row = kDecodeTable.at(name);
      const D expected = row.contains(from) ? row.at(from) : from;
      EXPECT_EQ(DecodeStateName(m.state()), DecodeStateName(expected)) << DecodeStateName(from) << " on " << name;
      const bool held = from == D::kReserved || from == D::kReceiving || from == D::kDelivered;
      const bool gave_up = held && (m.state() == D::kFailed || m.state() == D::kCancelled);
      EXPECT_EQ(Count<decode_action::Drop>(actions), gave_up ? 1 : 0)
          << DecodeStateName(from) << " on " << name << ": a reservation is dropped exactly once";
      if (from >= D::kDone) {
        EXPECT_TRUE(actions.empty());
      }
    }
}

TEST(DecodeHandoff, ActivatesOnceEverythingIsHereInAnyOrder) {
  using namespace decode_event;
  for (const bool commit_first : {true, false}) {
    DecodeHandoff m(HandoffOptions{}, kStart);
    m.On(Reserved{1, 1, 3, 2}, kStart);  // block 0 is cached: blocks 1 and 2 in two groups are to come
    int activations = 0;
    if (commit_first) activations += Count<decode_action::Activate>(m.On(Committed{{{5, 0, {}}}, {false}}, kStart));
    for (const auto& [ordinal, group] : {std::pair(2, 1), std::pair(1, 0), std::pair(1, 0), std::pair(2, 0)})
      activations += Count<decode_action::Activate>(m.On(Stored{ordinal, group}, kStart));
    EXPECT_EQ(activations, 0);
    activations += Count<decode_action::Activate>(m.On(Stored{1, 1}, kStart));
    if (!commit_first) activations += Count<decode_action::Activate>(m.On(Committed{{{5, 0, {}}}, {false}}, kStart));
    EXPECT_EQ(activations, 1);
    EXPECT_EQ(m.state(), D::kDelivered);
  }
}

TEST(DecodeHandoff, EveryStateThatHoldsBlocksForTheOtherSideHasADeadline) {
  for (const D state : {D::kWaiting, D::kReserved, D::kReceiving, D::kDelivered}) {
    DecodeHandoff m = DecodeIn(state);
    const TimePoint deadline = m.deadline();
    ASSERT_LT(deadline, kStart + std::chrono::minutes(2));
    EXPECT_TRUE(m.On(decode_event::Tick{}, deadline - Duration(1)).empty());
    EXPECT_FALSE(m.On(decode_event::Tick{}, deadline).empty());
    EXPECT_EQ(m.state(), D::kFailed);
  }
}

}  // namespace
}  // namespace tokenworks::kv_transfer
