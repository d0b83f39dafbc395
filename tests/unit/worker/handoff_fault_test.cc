// SPDX-License-Identifier: Apache-2.0
// Two workers, seeded faults: no wrong token, no request that never ends, no block that stays.
#include <gtest/gtest.h>

#include "pair_simulation.h"

namespace tokenworks::worker {
namespace {

using kv_transfer::HandoffOptions;
using kv_transfer::LocalHub;
using kv_transfer::PeerMessage;

void ExpectNothingKept(SimulatedWorker& worker, const std::string& name) {
  const KvCounts kv = worker.Report().kv;
  EXPECT_GT(kv.total, 0);
  EXPECT_EQ(kv.leaked, 0) << name;
  EXPECT_EQ(kv.free + kv.cached, kv.total)
      << name << ": active " << kv.active << ", reserved " << kv.reserved << ", sending " << kv.sending;
}

void ExpectSound(SimulatedPair& pair, bool all_complete) {
  for (const std::string& problem : pair.problems) ADD_FAILURE() << problem;
  for (const auto& [id, r] : pair.requests) {
    EXPECT_TRUE(r.over()) << "request " << id.value << " never ended";
    if (!all_complete) continue;
    EXPECT_TRUE(r.status.ok()) << "request " << id.value << ": " << r.status;
    for (uint32_t s = 0; s < r.request.n; ++s)
      EXPECT_EQ(r.tokens[s], ContextHashExecutor::Expected(pair.executor, r.request.prompt, r.request.sampling, s))
          << "request " << id.value << " sequence " << s;
  }
  ExpectNothingKept(*pair.prefill, "prefill");
  ExpectNothingKept(*pair.decode, "decode");
}

void RunMixed(SimulatedPair& pair, int requests, bool cancels) {
  std::vector<RequestId> ids;
  for (int i = 0; i < requests; ++i) {
    ids.push_back(pair.Submit(pair.Pick(5) == 0 ? Route::kLocal : Route::kHandoff));
    for (size_t steps = pair.Pick(30); steps > 0; --steps) pair.Once();
    if (cancels && pair.Pick(3) == 0) pair.Cancel(ids[pair.Pick(ids.size())]);
    pair.prefill->Tick();
    pair.decode->Tick();
    pair.Collect();
  }
  pair.RunDry();
}

TEST(HandoffFaults, WithoutFaultsEveryTokenIsRight) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedPair pair(seed);
    RunMixed(pair, 25, false);
    ExpectSound(pair, true);
    EXPECT_EQ(pair.decode->Report().handoffs_started, 0u);
  }
}

TEST(HandoffFaults, TheDecodeWorkerComputesNoPromptTokenOfAHandOff) {
  SimulatedPair pair(3);
  for (int i = 0; i < 10; ++i) pair.Submit();
  pair.RunDry();
  ExpectSound(pair, true);
  EXPECT_EQ(pair.decode->Report().prompt_tokens_computed, 0u);
}

TEST(HandoffFaults, CancelsAtAnyMoment) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedPair pair(seed);
    RunMixed(pair, 25, true);
    ExpectSound(pair, false);
    for (const auto& [id, r] : pair.requests) EXPECT_TRUE(r.cancelled || r.status.ok()) << id.value << ": " << r.status;
  }
}

TEST(HandoffFaults, OneSequenceIsCancelledTheOthersGoOn) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedPair pair(seed);
    RequestId id;
    do id = pair.Submit();
    while (pair.requests.at(id).request.n == 1);
    for (size_t steps = pair.Pick(60); steps > 0; --steps) pair.Once();
    pair.Cancel(id, 0);
    pair.RunDry();
    ExpectSound(pair, false);
    const auto& r = pair.requests.at(id);
    EXPECT_TRUE(r.status.ok()) << r.status;
    for (uint32_t s = 1; s < r.request.n; ++s)
      EXPECT_EQ(r.tokens[s], ContextHashExecutor::Expected(pair.executor, r.request.prompt, r.request.sampling, s));
  }
}

TEST(HandoffFaults, DamageIsResentOrRecomputed) {
  for (int flips = 1; flips <= 2; ++flips)
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      SCOPED_TRACE(testing::Message() << flips << " flips, seed " << seed);
      HandoffOptions handoff;
      handoff.fault.flips = flips;
      SimulatedPair pair(seed, handoff);
      RunMixed(pair, 15, false);
      ExpectSound(pair, true);
      const WorkerReport report = pair.prefill->Report();
      EXPECT_GT(report.handoff_bytes_resent, 0u);
      EXPECT_EQ(report.handoffs_recomputed > 0, flips == 2);
    }
}

TEST(HandoffFaults, OnlyTheDamagedBlockOfAPushIsSentAgain) {
  HandoffOptions handoff;
  handoff.fault.flips = 1;
  SimulatedPair pair(4, handoff);
  int widest = 0;
  pair.hub.SetInspect([&](PeerMessage& m) {
    if (const auto* push = std::get_if<kv_transfer::Push>(&m)) widest = std::max(widest, push->blocks);
    return LocalHub::Fate::kDeliver;
  });
  RequestId id;
  do id = pair.Submit();
  while (pair.requests.at(id).request.prompt.size() < 60);
  pair.RunDry();
  ExpectSound(pair, true);
  EXPECT_GT(widest, 1);
  EXPECT_EQ(pair.prefill->Report().handoff_bytes_resent, kPieceBytes * pair.requests.size());
}

TEST(HandoffFaults, APushThatIsNotWhatItSaysClosesTheConnection) {
  using Change = std::function<void(kv_transfer::Push&)>;
  const Change changes[] = {
      [](auto& p) { p.blocks = 1000000; },  [](auto& p) { p.blocks += 1, p.bytes += kPieceBytes; },
      [](auto& p) { p.ordinal = 1 << 30; }, [](auto& p) { p.ordinal = -1; },
      [](auto& p) { p.group = 77; },        [](auto& p) { p.group = -1; },
      [](auto& p) { p.bytes -= 1; },        [](auto& p) { p.offset = UINT64_MAX - 3; }};
  for (const Change& change : changes) {
    SCOPED_TRACE(&change - changes);
    SimulatedPair pair(4);
    bool changed = false;
    pair.hub.SetInspect([&](PeerMessage& m) {
      if (auto* push = std::get_if<kv_transfer::Push>(&m); push != nullptr && !std::exchange(changed, true)) {
        push->checksums.assign(push->checksums.size(), 0);
        change(*push);
      }
      return LocalHub::Fate::kDeliver;
    });
    const RequestId id = pair.Submit();
    pair.RunDry();
    ExpectSound(pair, false);
    EXPECT_TRUE(changed);
    EXPECT_EQ(pair.requests.at(id).status.code(), StatusCode::kUnavailable) << pair.requests.at(id).status;
  }
}

TEST(HandoffFaults, DamageForGoodFailsTheRequestAlone) {
  HandoffOptions handoff;
  handoff.fault.flips = 100;
  SimulatedPair pair(5, handoff);
  const RequestId id = pair.Submit(), local = pair.Submit(Route::kLocal);
  pair.RunDry();
  ExpectSound(pair, false);
  EXPECT_EQ(pair.requests.at(id).status.code(), StatusCode::kDataLoss);
  EXPECT_TRUE(pair.requests.at(local).status.ok());
}

TEST(HandoffFaults, WithoutChecksumsDamageIsSeenInTheTokens) {
  HandoffOptions handoff;
  handoff.checksums = false;
  handoff.fault.flips = 1;
  SimulatedPair pair(6, handoff);
  for (int i = 0; i < 5; ++i) pair.Submit();
  pair.RunDry();
  EXPECT_FALSE(pair.problems.empty()) << "this simulation must be able to see a wrong block";
}

TEST(HandoffFaults, LostMessagesEndTheRequestByItsDeadline) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedPair pair(seed);
    pair.hub.SetInspect([&](PeerMessage& m) {
      const bool handshake =
          std::holds_alternative<kv_transfer::PeerHello>(m) || std::holds_alternative<kv_transfer::HelloReply>(m);
      return !handshake && pair.Pick(40) == 0 ? LocalHub::Fate::kDrop : LocalHub::Fate::kDeliver;
    });
    RunMixed(pair, 20, true);
    ExpectSound(pair, false);
  }
}

TEST(HandoffFaults, AConnectionThatBreaksAtAnyMoment) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedPair pair(seed);
    for (int round = 0; round < 4; ++round) {
      for (int i = 0; i < 5; ++i) pair.Submit();
      for (size_t steps = pair.Pick(80); steps > 0; --steps) pair.Once();
      pair.Collect();
      pair.prefill->CloseLinks();
    }
    pair.RunDry();
    ExpectSound(pair, false);
    const RequestId after = pair.Submit();
    pair.RunDry();
    EXPECT_TRUE(pair.requests.at(after).status.ok()) << "a new connection is made: " << pair.requests.at(after).status;
  }
}

TEST(HandoffFaults, AFailedStepEndsItsRequestsAlone) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedPair pair(seed);
    for (int i = 0; i < 6; ++i) pair.Submit();
    for (size_t steps = pair.Pick(60); steps > 0; --steps) pair.Once();
    (pair.Pick(2) ? pair.prefill : pair.decode)->executor().FailNext(absl::ResourceExhaustedError("device memory"));
    pair.RunDry();
    ExpectSound(pair, false);
    const RequestId after = pair.Submit();
    pair.RunDry();
    EXPECT_TRUE(pair.requests.at(after).status.ok()) << pair.requests.at(after).status;
  }
}

// What could not be copied is never taken for KV: no wrong token, no request that waits for ever.
TEST(HandoffFaults, ADeviceThatIsLostWhileBlocksAreCopied) {
  int refused = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedPair pair(seed);
    SimulatedWorker& lost = pair.Pick(2) ? *pair.prefill : *pair.decode;
    lost.executor().FailCopiesAfter(static_cast<int>(pair.Pick(12)));
    for (int i = 0; i < 6; ++i) pair.Submit();
    pair.RunDry();
    ExpectSound(pair, false);
    for (const auto& [id, r] : pair.requests) {
      refused += !r.status.ok();
      for (uint32_t s = 0; r.status.ok() && s < r.request.n; ++s)
        EXPECT_EQ(r.tokens[s], ContextHashExecutor::Expected(pair.executor, r.request.prompt, r.request.sampling, s));
    }
  }
  EXPECT_GT(refused, 40);
}

TEST(HandoffFaults, WhatIsPinnedIsUnpinnedWhenAConnectionEnds) {
  SimulatedPair pair(4);
  pair.Submit();
  pair.RunDry();
  EXPECT_EQ(pair.prefill->executor().pinned().size(), 1u) << "the staging memory";
  EXPECT_GE(pair.decode->executor().pinned().size(), 1u) << "what is verified in memory of its own";
  pair.prefill->CloseLinks();
  pair.RunDry();
  EXPECT_TRUE(pair.prefill->executor().pinned().empty());
  auto& executor = pair.decode->executor();
  pair.decode->ForgetCore();
  EXPECT_TRUE(executor.pinned().empty());
}

TEST(HandoffFaults, ADecodePoolThatIsFullMakesThemWait) {
  HandoffOptions handoff;
  SimulatedPair pair(9, handoff, 12);
  for (int i = 0; i < 20; ++i) pair.Submit();
  for (int i = 0; i < 20000 && pair.Once(); ++i) {
    pair.decode->Tick();
    pair.prefill->Tick();
  }
  pair.RunDry();
  ExpectSound(pair, false);
  int completed = 0;
  for (const auto& [id, r] : pair.requests) completed += r.status.ok();
  EXPECT_EQ(completed, 20);
}

TEST(HandoffFaults, AnotherModelIsRefusedByName) {
  SimulatedPair pair(1);
  ContextHashOptions other = pair.executor;
  other.weight_digest = "another";
  pair.decode = std::make_unique<SimulatedWorker>("decode-1", WorkerRole::kDecode, 13, other, HandoffOptions{},
                                                  pair.hub, pair.clock);
  const RequestId id = pair.Submit();
  pair.RunDry();
  ExpectSound(pair, false);
  EXPECT_NE(std::string(pair.requests.at(id).status.message()).find("weight digest"), std::string::npos)
      << pair.requests.at(id).status;
}

}  // namespace
}  // namespace tokenworks::worker
