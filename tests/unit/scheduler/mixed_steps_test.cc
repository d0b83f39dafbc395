// SPDX-License-Identifier: Apache-2.0
// In virtual time: what those who decode feel of a long prompt, on a device whose steps take as long as was measured.
#include "scheduler_fixture.h"

namespace tokenworks::scheduler {
namespace {

constexpr int kResidents = 16, kPrompt = 2048;

// 32 layers' products of an 8B model on an H200, ms by rows; a step takes as long as the next size.
double StaircaseMs(int rows) {
  static const std::map<int, double> kMs = {{16, 4.0},   {64, 4.04},  {128, 4.40},  {192, 5.08}, {256, 5.83},
                                            {320, 6.92}, {384, 7.76}, {448, 9.49},  {512, 9.87}, {640, 12.2},
                                            {768, 15.0}, {896, 17.5}, {1024, 19.4}, {1088, 22.2}};
  return kMs.lower_bound(rows)->second;
}

struct Load {
  Duration target = std::chrono::milliseconds(50);
  int chunk = 512;
  int depth = 2;
  double speed = 1;  // of the device
};
struct Felt {
  double p99_gap_ms = 0;  // between two tokens of one resident, from before the prompt's arrival until after its end
  StepReport step;        // as reported when the prompt was done
  int chunk_steps = 0;
};

Felt LongPromptBesideResidents(const Load& run) {
  std::mt19937 rng(3);
  ManualClock clock;
  FakeDevice device(1024);
  SchedulerOptions options = Options(1024, run.depth);
  options.chunk_tokens_max = run.chunk;
  options.step_rows_max = 1024;
  options.row_quantum = 128;
  options.step_target = run.target;
  Scheduler scheduler(options);
  std::deque<StepPlan> plans;
  std::map<SequenceId, TokenId> drawn;
  std::map<RequestId, TimePoint> last;
  std::vector<double> gaps;
  Felt felt;
  bool prompt_here = false, prompt_done = false;
  int steps = 0;
  const auto step = [&] {
    while (static_cast<int>(plans.size()) < run.depth)
      if (auto planned = scheduler.Plan(clock.Now()))
        plans.push_back(std::move(planned->plan));
      else
        break;
    StepPlan plan = std::move(plans.front());
    plans.pop_front();
    int rows = 0;
    for (StepItem& item : plan.items) {
      rows += static_cast<int>(item.tokens.size());
      if (item.tokens[0] == kPendingToken) item.tokens[0] = drawn[item.samples[0]];
    }
    StepResult result = device.Run(plan);
    for (const StepSample& s : result.samples) drawn[s.sequence] = s.tokens[0].token;
    const double ms = StaircaseMs(rows) * run.speed * (++steps % 40 == 0 ? 1.2 : 1);  // now and then the power cap
    result.duration = std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(ms));
    clock.Advance(result.duration);  // the device is never idle: the next plan is there already
    scheduler.Complete(result, clock.Now());
    felt.chunk_steps += prompt_here && !prompt_done;
    for (const TokenDelta& d : scheduler.TakeOutput().deltas) {
      prompt_done |= d.request.value == kResidents + 1;
      if (prompt_here && last.contains(d.request)) gaps.push_back(Milliseconds(clock.Now() - last[d.request]));
      last[d.request] = clock.Now();
    }
  };
  for (uint64_t id = 1; id <= kResidents; ++id)
    EXPECT_TRUE(scheduler.Admit(MakeRequest(id, 100, 400, rng), Route::kLocal, clock.Now()).ok());
  for (int i = 0; i < 40; ++i) step();
  EXPECT_EQ(last.size(), static_cast<size_t>(kResidents));
  EXPECT_TRUE(scheduler.Admit(MakeRequest(kResidents + 1, kPrompt, 4, rng), Route::kLocal, clock.Now()).ok());
  prompt_here = true;
  while (!prompt_done && steps < 400) step();
  EXPECT_TRUE(prompt_done);
  std::sort(gaps.begin(), gaps.end());
  felt.p99_gap_ms = gaps[gaps.size() * 99 / 100];
  WorkerReport report;
  scheduler.Report(report);
  EXPECT_TRUE(report.step.has_value());
  felt.step = report.step.value_or(StepReport{});
  return felt;
}

TEST(MixedSteps, ALongPromptKeepsTheLatencyOfThoseWhoDecode) {
  struct Case {
    Load run;
    int rows;
    RowsChoice choice;
  };
  const auto ms = [](double v) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(v));
  };
  for (const int depth : {1, 2})
    for (const Case& c : {Case{{.depth = depth}, 512, RowsChoice::kDefault},
                          {{.chunk = 1024, .depth = depth}, 1024, RowsChoice::kDefault},
                          {{.chunk = 256, .depth = depth}, 256, RowsChoice::kDefault},
                          {{.target = ms(8), .depth = depth}, 256, RowsChoice::kLatency},
                          {{.target = ms(5), .depth = depth}, 128, RowsChoice::kTight},
                          {{.target = ms(20), .depth = depth, .speed = 5}, 128, RowsChoice::kTight},
                          {{.target = ms(2), .depth = depth, .speed = 0.1}, 512, RowsChoice::kDefault}}) {
      SCOPED_TRACE(testing::Message() << c.rows << " rows, depth " << depth << ", speed " << c.run.speed);
      const Felt felt = LongPromptBesideResidents(c.run);
      EXPECT_EQ(felt.step.rows, c.rows);
      EXPECT_EQ(RowsChoiceName(felt.step.choice), RowsChoiceName(c.choice));
      EXPECT_LE(felt.p99_gap_ms, 1.5 * felt.step.predicted_ms);
      EXPECT_NEAR(felt.step.predicted_ms, StaircaseMs(c.rows) * c.run.speed, 0.15 * felt.step.predicted_ms);
      EXPECT_NEAR(felt.step.decode_ms, StaircaseMs(kResidents) * c.run.speed, 0.15 * felt.step.decode_ms);
      EXPECT_LE(felt.chunk_steps, kPrompt / (c.rows - kResidents) + 2) << "a wrong size for a step or two";
    }
}

// On a CPU too: one that decodes is reason enough to keep a long prompt's steps short.
TEST(MixedSteps, TheFirstChunkBesideOneThatDecodesKeepsTheStepTarget) {
  std::mt19937 rng(5);
  ManualClock clock;
  FakeDevice device(64);
  SchedulerOptions options = Options(64);
  options.chunk_tokens_max = options.step_rows_max = 512;
  options.step_target = std::chrono::milliseconds(20);
  Scheduler scheduler(options);
  Pipeline pipeline(scheduler, device, 1);
  ASSERT_TRUE(scheduler.Admit(MakeRequest(1, 20, 100, rng), Route::kLocal, clock.Now()).ok());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(pipeline.Step(clock.Now()));
  ASSERT_TRUE(scheduler.Admit(MakeRequest(2, 400, 2, rng), Route::kLocal, clock.Now()).ok());
  const auto planned = scheduler.Plan(clock.Now());
  ASSERT_TRUE(planned);
  ASSERT_EQ(planned->plan.items.size(), 2u);
  EXPECT_LT(planned->plan.items[1].tokens.size(), 100u) << "the model's first guess is 0.7 ms a row";
  EXPECT_NE(planned->choice, RowsChoice::kPrefillRate);
}

// The choice is shown with the prediction that it was made by, whatever has been learned since.
TEST(MixedSteps, AReportKeepsThePredictionOfItsChoice) {
  std::mt19937 rng(5);
  ManualClock clock;
  FakeDevice device(1024);
  SchedulerOptions options = Options(1024);
  options.step_rows_max = 1024;
  options.row_quantum = 128;
  Scheduler scheduler(options);
  const auto complete = [&](const StepPlan& plan, Duration took) {
    StepResult result = device.Run(plan);
    result.duration = took;
    clock.Advance(took);
    scheduler.Complete(result, clock.Now());
  };
  EXPECT_TRUE(scheduler.Admit(MakeRequest(1, 100, 400, rng), Route::kLocal, clock.Now()).ok());
  for (int i = 0; i < 4; ++i) complete(scheduler.Plan(clock.Now())->plan, std::chrono::milliseconds(5));
  EXPECT_TRUE(scheduler.Admit(MakeRequest(2, 2048, 4, rng), Route::kLocal, clock.Now()).ok());
  const auto mixed = scheduler.Plan(clock.Now());
  WorkerReport planned, learned;
  scheduler.Report(planned);
  complete(mixed->plan, std::chrono::milliseconds(200));
  scheduler.Report(learned);
  ASSERT_TRUE(planned.step.has_value());
  EXPECT_EQ(learned.step, planned.step) << learned.step->predicted_ms << " ms of a choice made at "
                                        << planned.step->predicted_ms << " ms";
}

}  // namespace
}  // namespace tokenworks::scheduler
