// SPDX-License-Identifier: Apache-2.0
// The scheduler against a device that checks what it is told: which (token, position) each block holds.
#include "engine/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace tokenworks::scheduler {
namespace {

// The next token is a hash of the whole prefix that the plan's blocks hold, so a wrong table or a lost copy changes it.
class FakeDevice {
 public:
  explicit FakeDevice(int blocks) : marks_(blocks, std::vector<TokenId>(kBlockTokens, -1)) {}

  static TokenId NextToken(const std::vector<TokenId>& prefix, uint32_t sequence) {
    uint64_t h = 1469598103934665603ull + sequence;
    for (const TokenId t : prefix) h = (h ^ static_cast<uint64_t>(t)) * 1099511628211ull;
    return static_cast<TokenId>(10 + (h >> 33) % 1000);
  }

  StepResult Run(const StepPlan& plan) {
    for (const BlockCopy& c : plan.copies) marks_[c.destination] = marks_[c.source];
    std::set<std::pair<BlockId, int>> written;
    StepResult result{plan.id, {}, std::chrono::milliseconds(3)};
    for (const StepItem& item : plan.items)
      for (size_t i = 0; i < item.tokens.size(); ++i) {
        const int p = item.first_position + static_cast<int>(i);
        EXPECT_TRUE(written.insert({item.blocks.at(p / kBlockTokens), p % kBlockTokens}).second)
            << "two writers of one slot";
        marks_[item.blocks[p / kBlockTokens]][p % kBlockTokens] = item.tokens[i];
      }
    for (const StepItem& item : plan.items) {
      const int n = item.first_position + static_cast<int>(item.tokens.size());
      std::vector<TokenId> prefix;
      for (int p = 0; p < n; ++p) prefix.push_back(marks_[item.blocks[p / kBlockTokens]][p % kBlockTokens]);
      EXPECT_EQ(std::count(prefix.begin(), prefix.end(), -1), 0) << "a position was never written";
      for (const SequenceId& s : item.samples) result.samples.push_back({s, {{NextToken(prefix, s.index), 0, {}}}});
    }
    return result;
  }

  std::vector<std::vector<TokenId>> marks_;
};

std::vector<TokenId> Expected(const GenerationRequest& r, uint32_t sequence) {
  std::vector<TokenId> prefix = r.prompt, out;
  while (static_cast<int>(out.size()) < r.sampling.max_tokens) {
    out.push_back(FakeDevice::NextToken(prefix, out.empty() ? sequence : sequence));
    prefix.push_back(out.back());
  }
  return out;
}

GenerationRequest MakeRequest(uint64_t id, int prompt, int max_tokens, std::mt19937& rng, uint32_t n = 1) {
  GenerationRequest r;
  r.id.value = id;
  r.n = n;
  for (int i = 0; i < prompt; ++i) r.prompt.push_back(static_cast<TokenId>(i < 40 ? i % 7 : rng() % 500));
  r.sampling.max_tokens = max_tokens;
  return r;
}

SchedulerOptions Options(int blocks) {
  SchedulerOptions o;
  o.kv_blocks = blocks;
  o.context_length = blocks * kBlockTokens;
  o.chunk_tokens_max = 48;
  o.step_rows_max = 64;
  return o;
}

struct Seen {
  std::map<RequestId, std::map<uint32_t, std::vector<TokenId>>> tokens;
  std::map<RequestId, RequestEnded> ended;
  void Take(SchedulerOutput out) {
    for (const TokenDelta& d : out.deltas) {
      auto& t = tokens[d.request][d.sequence];
      EXPECT_EQ(d.position, t.size());
      for (const SampledToken& s : d.tokens) t.push_back(s.token);
    }
    for (const RequestEnded& e : out.ended) EXPECT_TRUE(ended.emplace(e.request, e).second) << "ended twice";
  }
};

KvCounts Kv(const Scheduler& s) {
  WorkerReport report;
  s.Report(report);
  EXPECT_EQ(report.kv.leaked, 0);
  EXPECT_EQ(report.kv.free + report.kv.cached + report.kv.active + report.kv.reserved + report.kv.sending +
                report.kv.receiving,
            report.kv.total);
  return report.kv;
}

TEST(Scheduler, GivesEveryRequestItsTokensWhenThePoolIsTooSmallForAll) {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    std::mt19937 rng(seed);
    ManualClock clock;
    FakeDevice device(24);
    Scheduler scheduler(Options(24));
    Seen seen;
    std::map<RequestId, GenerationRequest> requests;
    for (uint64_t id = 1; id <= 12; ++id) {
      auto r = MakeRequest(id, 1 + static_cast<int>(rng() % 120), 1 + static_cast<int>(rng() % 40), rng, 1 + rng() % 3);
      requests[r.id] = r;
      ASSERT_TRUE(scheduler.Admit(r, Route::kLocal, clock.Now()).ok());
    }
    for (int step = 0; step < 3000 && !scheduler.idle(); ++step) {
      if (auto planned = scheduler.Plan(clock.Now())) scheduler.Complete(device.Run(planned->plan), clock.Now());
      seen.Take(scheduler.TakeOutput());
      Kv(scheduler);
    }
    ASSERT_TRUE(scheduler.idle()) << "seed " << seed;
    for (const auto& [id, r] : requests)
      for (uint32_t s = 0; s < r.n; ++s)
        EXPECT_EQ(seen.tokens[id][s], Expected(r, s))
            << "seed " << seed << " request " << id.value << " sequence " << s;
    EXPECT_EQ(Kv(scheduler).active, 0);
  }
}

TEST(Scheduler, EndsEveryRequestOnceUnderRandomCancels) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937 rng(seed);
    ManualClock clock;
    FakeDevice device(20);
    Scheduler scheduler(Options(20));
    Seen seen;
    uint64_t next = 1;
    for (int step = 0; step < 400; ++step) {
      if (rng() % 3 == 0 && next <= 25)
        (void)scheduler.Admit(MakeRequest(next, 1 + rng() % 100, 1 + rng() % 20, rng, 1 + rng() % 2), Route::kLocal,
                              clock.Now()),
            ++next;
      auto planned = scheduler.Plan(clock.Now());
      for (int i = 0; i < 2; ++i)
        if (rng() % 6 == 0)
          scheduler.Cancel({1 + rng() % next}, rng() % 2 ? std::optional<uint32_t>(rng() % 2) : std::nullopt,
                           CancelReason::kStopString, clock.Now());
      if (planned && rng() % 20 == 0)
        scheduler.Fail(planned->plan.id, absl::InternalError("planted"), clock.Now());
      else if (planned)
        scheduler.Complete(device.Run(planned->plan), clock.Now());
      seen.Take(scheduler.TakeOutput());
      Kv(scheduler);
    }
    for (int step = 0; step < 2000 && !scheduler.idle(); ++step)
      if (auto planned = scheduler.Plan(clock.Now())) scheduler.Complete(device.Run(planned->plan), clock.Now());
    seen.Take(scheduler.TakeOutput());
    EXPECT_TRUE(scheduler.idle()) << "seed " << seed;
    EXPECT_EQ(seen.ended.size(), next - 1) << "seed " << seed;
    EXPECT_EQ(Kv(scheduler).active, 0);
  }
}

TEST(Scheduler, ReusesACachedPrefixAndComputesOnlyTheRest) {
  std::mt19937 rng(1);
  ManualClock clock;
  FakeDevice device(32);
  Scheduler scheduler(Options(32));
  const auto run = [&](uint64_t id) {
    auto r = MakeRequest(id, 100, 3, rng);
    std::mt19937 same(5);
    r.prompt = MakeRequest(0, 100, 1, same).prompt;
    EXPECT_TRUE(scheduler.Admit(r, Route::kLocal, clock.Now()).ok());
    while (!scheduler.idle())
      if (auto planned = scheduler.Plan(clock.Now())) scheduler.Complete(device.Run(planned->plan), clock.Now());
    WorkerReport report;
    scheduler.Report(report);
    return report;
  };
  EXPECT_EQ(run(1).prompt_tokens_computed, 100u);
  const WorkerReport second = run(2);
  EXPECT_EQ(second.prompt_tokens_computed, 104u);
  EXPECT_EQ(second.prompt_tokens_cached, 96u);
}

TEST(Scheduler, HandsOffWithoutComputingAPromptTokenOnTheDecodeSide) {
  std::mt19937 rng(3);
  ManualClock clock;
  FakeDevice prefill_device(32), decode_device(32);
  Scheduler prefill(Options(32)), decode(Options(32));
  Seen seen;
  auto r = MakeRequest(1, 75, 9, rng, 2);
  ASSERT_TRUE(prefill.Admit(r, Route::kHandoff, clock.Now()).ok());
  EXPECT_FALSE(prefill.Plan(clock.Now()).has_value());
  ASSERT_EQ(prefill.TakeOutput().wants_reservation.size(), 1u);
  const auto reservation = decode.Reserve(r, clock.Now());
  ASSERT_TRUE(reservation.ok());
  std::map<int, BlockId> pushed;
  for (const auto& [ordinal, block] : prefill.Grant(r.id, reservation->cached_blocks, clock.Now()).blocks)
    pushed[ordinal] = block;
  std::vector<PrefillDone> done;
  while (done.empty()) {
    auto planned = prefill.Plan(clock.Now());
    ASSERT_TRUE(planned.has_value());
    for (const PlannedPush& push : planned->pushes)
      for (const auto& [ordinal, block] : push.blocks) pushed[ordinal] = block;
    prefill.Complete(prefill_device.Run(planned->plan), clock.Now());
    auto out = prefill.TakeOutput();
    done = out.prefill_done;
    seen.Take(std::move(out));
  }
  EXPECT_EQ(pushed.size(), 5u);
  EXPECT_EQ(Kv(prefill).sending, 5);
  for (const auto& [ordinal, block] : pushed)
    decode_device.marks_[reservation->blocks[ordinal]] = prefill_device.marks_[block];
  decode.Activate(r.id, done[0].first_tokens, done[0].ended, clock.Now());
  prefill.EndHandoff(r.id, OkStatus(), clock.Now());
  auto out = prefill.TakeOutput();
  ASSERT_EQ(out.ended.size(), 1u);
  EXPECT_TRUE(out.ended[0].handed_off);
  while (!decode.idle())
    if (auto planned = decode.Plan(clock.Now())) decode.Complete(decode_device.Run(planned->plan), clock.Now());
  seen.Take(decode.TakeOutput());
  for (uint32_t s : {0u, 1u}) EXPECT_EQ(seen.tokens[r.id][s], Expected(r, s)) << s;
  WorkerReport report;
  decode.Report(report);
  EXPECT_EQ(report.prompt_tokens_computed, 0u);
  EXPECT_EQ(Kv(prefill).sending + Kv(decode).active + Kv(decode).reserved, 0);
}

TEST(Scheduler, EndsARequestHereWhenItsFirstTokenIsItsLast) {
  std::mt19937 rng(4);
  ManualClock clock;
  FakeDevice device(16);
  Scheduler scheduler(Options(16));
  auto r = MakeRequest(1, 20, 1, rng);
  ASSERT_TRUE(scheduler.Admit(r, Route::kHandoff, clock.Now()).ok());
  scheduler.Plan(clock.Now());
  scheduler.Grant(r.id, 0, clock.Now());
  auto planned = scheduler.Plan(clock.Now());
  ASSERT_TRUE(planned.has_value());
  scheduler.Complete(device.Run(planned->plan), clock.Now());
  const auto done = scheduler.TakeOutput().prefill_done;
  ASSERT_EQ(done.size(), 1u);
  EXPECT_TRUE(done[0].ended[0]);
  scheduler.EndHandoff(r.id, OkStatus(), clock.Now());
  const auto out = scheduler.TakeOutput();
  ASSERT_EQ(out.ended.size(), 1u);
  EXPECT_FALSE(out.ended[0].handed_off);
}

TEST(Scheduler, ShowsALeakedBlock) {
  Scheduler scheduler(Options(8));
  scheduler.LeakBlockForTest();
  WorkerReport report;
  scheduler.Report(report);
  EXPECT_EQ(report.kv.leaked, 1);
}

TEST(Scheduler, RefusesWhatCannotFit) {
  std::mt19937 rng(1);
  ManualClock clock;
  Scheduler scheduler(Options(4));
  EXPECT_EQ(scheduler.Admit(MakeRequest(1, 64, 1, rng), Route::kLocal, clock.Now()).code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(scheduler.Admit(MakeRequest(2, 63, 5, rng), Route::kLocal, clock.Now()).ok());
  FakeDevice device(4);
  Seen seen;
  while (!scheduler.idle())
    if (auto planned = scheduler.Plan(clock.Now())) scheduler.Complete(device.Run(planned->plan), clock.Now());
  seen.Take(scheduler.TakeOutput());
  EXPECT_EQ(seen.tokens[{2}][0].size(), 1u);  // the context ends there: length
}

}  // namespace
}  // namespace tokenworks::scheduler
