// SPDX-License-Identifier: Apache-2.0
#include "engine/scheduler/scheduler.h"

#include "scheduler_fixture.h"

namespace tokenworks::scheduler {
namespace {

TEST(Scheduler, GivesEveryRequestItsTokensWhenThePoolIsTooSmallForAll) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937 rng(seed);
    ManualClock clock;
    FakeDevice device(24);
    const int depth = 1 + static_cast<int>(seed % 2);
    Scheduler scheduler(Options(24, depth));
    Pipeline pipeline(scheduler, device, depth);
    Seen seen;
    std::map<RequestId, GenerationRequest> requests;
    for (uint64_t id = 1; id <= 12; ++id) {
      auto r = MakeRequest(id, 1 + static_cast<int>(rng() % 120), 1 + static_cast<int>(rng() % 40), rng, 1 + rng() % 3);
      requests[r.id] = r;
      ASSERT_TRUE(scheduler.Admit(r, Route::kLocal, clock.Now()).ok());
    }
    for (int step = 0; step < 3000 && !scheduler.idle(); ++step) {
      pipeline.Step(clock.Now());
      seen.Take(scheduler.TakeOutput());
      Kv(scheduler);
    }
    ASSERT_TRUE(scheduler.idle()) << "seed " << seed;
    EXPECT_EQ(pipeline.pending() > 0, depth == 2);
    for (const auto& [id, r] : requests)
      for (uint32_t s = 0; s < r.n; ++s)
        EXPECT_EQ(seen.tokens[id][s], Expected(r, s))
            << "seed " << seed << " request " << id.value << " sequence " << s;
    EXPECT_EQ(Kv(scheduler).active, 0);
  }
}

TEST(Scheduler, EndsEveryRequestOnceUnderRandomCancels) {
  for (uint32_t seed = 1; seed <= 120; ++seed) {
    std::mt19937 rng(seed);
    ManualClock clock;
    FakeDevice device(20);
    const int depth = 1 + static_cast<int>(seed % 2);
    Scheduler scheduler(Options(20, depth));
    Pipeline pipeline(scheduler, device, depth);
    Seen seen;
    uint64_t next = 1;
    for (int step = 0; step < 400; ++step) {
      if (rng() % 3 == 0 && next <= 25)
        (void)scheduler.Admit(MakeRequest(next, 1 + rng() % 100, 1 + rng() % 20, rng, 1 + rng() % 2), Route::kLocal,
                              clock.Now()),
            ++next;
      for (int i = 0; i < 2; ++i)  // with plans in flight at depth 2
        if (rng() % 6 == 0)
          scheduler.Cancel({1 + rng() % next}, rng() % 2 ? std::optional<uint32_t>(rng() % 2) : std::nullopt,
                           CancelReason::kStopString, clock.Now());
      pipeline.Step(clock.Now(), rng() % 20 == 0);
      seen.Take(scheduler.TakeOutput());
      Kv(scheduler);
    }
    for (int step = 0; step < 2000 && !scheduler.idle(); ++step) pipeline.Step(clock.Now());
    seen.Take(scheduler.TakeOutput());
    EXPECT_TRUE(scheduler.idle()) << "seed " << seed;
    EXPECT_EQ(seen.ended.size(), next - 1) << "seed " << seed;
    EXPECT_EQ(Kv(scheduler).active, 0);
  }
}

TEST(Scheduler, RunsAheadOfTheTokenThatIsBeingDrawn) {
  std::mt19937 rng(7);
  ManualClock clock;
  FakeDevice device(16);
  SchedulerOptions options = Options(16, 2);
  const auto r = MakeRequest(1, 20, 6, rng);
  options.end_tokens = {Expected(r, 0)[3]};
  Scheduler scheduler(options);
  ASSERT_TRUE(scheduler.Admit(r, Route::kLocal, clock.Now()).ok());
  Pipeline pipeline(scheduler, device, 2);
  Seen seen;
  while (pipeline.Step(clock.Now())) seen.Take(scheduler.TakeOutput());
  const std::vector<TokenId> all = Expected(r, 0);
  EXPECT_EQ(seen.tokens[r.id][0], std::vector<TokenId>(all.begin(), all.begin() + 4)) << "the end token is the last";
  EXPECT_EQ(pipeline.pending(), 4) << "every decode step ran ahead, the last for nothing";
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(Kv(scheduler).active, 0);

  auto limited = MakeRequest(2, 20, 3, rng);
  limited.sampling.ignore_eos = true;
  ASSERT_TRUE(scheduler.Admit(limited, Route::kLocal, clock.Now()).ok());
  Pipeline second(scheduler, device, 2);
  while (second.Step(clock.Now())) seen.Take(scheduler.TakeOutput());
  EXPECT_EQ(seen.tokens[limited.id][0].size(), 3u);
  EXPECT_EQ(second.pending(), 2) << "no step beyond max_tokens";
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

TEST(Scheduler, ARequestThatFindsNoRoomWhenItIsGrantedPushesItsCachedPrefixLater) {
  std::mt19937 rng(5);
  ManualClock clock;
  FakeDevice device(14);
  Scheduler scheduler(Options(14));
  Pipeline pipeline(scheduler, device, 1);
  auto first = MakeRequest(1, 80, 1, rng);
  ASSERT_TRUE(scheduler.Admit(first, Route::kLocal, clock.Now()).ok());  // leaves its prompt in the cache
  while (pipeline.Step(clock.Now())) {
  }
  auto other = MakeRequest(2, 130, 30, rng);
  other.prompt.assign(130, 7);
  ASSERT_TRUE(scheduler.Admit(other, Route::kLocal, clock.Now()).ok());
  ASSERT_TRUE(pipeline.Step(clock.Now()));
  auto handed = MakeRequest(3, 120, 9, rng);
  std::copy(first.prompt.begin(), first.prompt.end(), handed.prompt.begin());
  ASSERT_TRUE(scheduler.Admit(handed, Route::kHandoff, clock.Now()).ok());
  ASSERT_TRUE(pipeline.Step(clock.Now()));
  std::set<int> pushed;
  for (const auto& [ordinal, block] : scheduler.Grant(handed.id, 1, clock.Now()).blocks) pushed.insert(ordinal);
  EXPECT_TRUE(pushed.empty()) << "the pool is full: what is tested is not what happens";
  for (int step = 0; step < 100 && scheduler.TakeOutput().prefill_done.empty(); ++step)
    if (auto planned = scheduler.Plan(clock.Now())) {
      for (const PlannedPush& push : planned->pushes)
        for (const auto& [ordinal, block] : push.blocks) EXPECT_TRUE(pushed.insert(ordinal).second) << "twice";
      scheduler.Complete(device.Run(planned->plan), clock.Now());
    }
  EXPECT_EQ(pushed, (std::set<int>{1, 2, 3, 4, 5, 6, 7})) << "all but what the peer has";
}

TEST(Scheduler, NoMoreSequencesThanMayRunAtOnce) {
  for (const int depth : {1, 2}) {
    std::mt19937 rng(6);
    ManualClock clock;
    FakeDevice device(200);
    SchedulerOptions options = Options(200, depth);
    options.running_max = 8;
    Scheduler scheduler(options);
    Pipeline pipeline(scheduler, device, depth);
    EXPECT_EQ(scheduler.Admit(MakeRequest(9, 10, 5, rng, 9), Route::kLocal, clock.Now()).code(),
              StatusCode::kInvalidArgument);
    std::map<RequestId, GenerationRequest> requests;
    for (uint64_t id = 1; id <= 5; ++id) {
      auto r = MakeRequest(id, 10, 12, rng, 3);
      requests[r.id] = r;
      ASSERT_TRUE(scheduler.Admit(r, Route::kLocal, clock.Now()).ok());
    }
    Seen seen;
    int refused = 0;
    for (uint64_t id = 100; pipeline.Step(clock.Now()); ++id) {
      seen.Take(scheduler.TakeOutput());
      const auto r = MakeRequest(id, 20, 5, rng, 4);
      refused += scheduler.Reserve(r, clock.Now()).status().code() == StatusCode::kResourceExhausted;
      scheduler.DropReservation(r.id);
    }
    seen.Take(scheduler.TakeOutput());
    EXPECT_LE(pipeline.most_samples(), 8);
    EXPECT_GE(pipeline.most_samples(), 6);
    EXPECT_GT(refused, 0) << "two requests of three sequences leave no room for four";
    for (const auto& [id, r] : requests)
      for (uint32_t q = 0; q < r.n; ++q) EXPECT_EQ(seen.tokens[id][q], Expected(r, q)) << id.value << "/" << q;
  }
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

TEST(Scheduler, StepsWithChunksAreWholeQuantaOfRows) {
  std::mt19937 rng(8);
  ManualClock clock;
  FakeDevice device(512);
  SchedulerOptions options = Options(512);
  options.chunk_tokens_max = options.step_rows_max = 500;
  options.step_target = std::chrono::hours(1);
  options.row_quantum = 128;
  Scheduler scheduler(options);
  for (uint64_t id = 1; id <= 5; ++id)
    ASSERT_TRUE(scheduler.Admit(MakeRequest(id, 3, 100, rng), Route::kLocal, clock.Now()).ok());
  Pipeline pipeline(scheduler, device, 1);
  ASSERT_TRUE(pipeline.Step(clock.Now()));
  ASSERT_TRUE(scheduler.Admit(MakeRequest(6, 1200, 2, rng), Route::kLocal, clock.Now()).ok());
  std::vector<int> rows;
  for (int step = 0; step < 4; ++step) {
    const auto planned = scheduler.Plan(clock.Now());
    ASSERT_TRUE(planned.has_value());
    rows.push_back(0);
    for (const StepItem& item : planned->plan.items) rows.back() += static_cast<int>(item.tokens.size());
    scheduler.Complete(device.Run(planned->plan), clock.Now());
  }
  EXPECT_EQ(rows, (std::vector<int>{384, 384, 384, 5 + 1200 - 3 * (384 - 5)})) << "the rest as it is";
}

TEST(Scheduler, RefusesWhatCannotFit) {
  for (const int depth : {1, 2}) {
    std::mt19937 rng(1);
    ManualClock clock;
    Scheduler scheduler(Options(4, depth));
    EXPECT_EQ(scheduler.Admit(MakeRequest(1, 64, 1, rng), Route::kLocal, clock.Now()).code(),
              StatusCode::kInvalidArgument);
    EXPECT_TRUE(scheduler.Admit(MakeRequest(2, 63, 5, rng), Route::kLocal, clock.Now()).ok());
    FakeDevice device(4);
    Pipeline pipeline(scheduler, device, depth);
    Seen seen;
    while (pipeline.Step(clock.Now())) seen.Take(scheduler.TakeOutput());
    EXPECT_EQ(seen.tokens[{2}][0].size(), 1u);  // the context ends there: length
    EXPECT_EQ(pipeline.pending(), 0) << "no row beyond the context";
  }
}

}  // namespace
}  // namespace tokenworks::scheduler
