// SPDX-License-Identifier: Apache-2.0
#include "engine/scheduler/step_rows.h"

#include <gtest/gtest.h>

#include "scheduler_fixture.h"

namespace tokenworks::scheduler {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int kQuantum = 128;

SchedulerOptions GpuOptions(Duration target = milliseconds(50), int chunk = 512, int most = 1024) {
  SchedulerOptions o = Options(1024);
  o.row_quantum = kQuantum;
  o.chunk_tokens_max = chunk;
  o.step_rows_max = most;
  o.step_target = target;
  return o;
}

// 256 rows take 10 ms, 512 rows 15, 1024 rows 27.
StepTimeModel Learned() {
  StepTimeModel model(kQuantum);
  for (int i = 0; i < 50; ++i)
    for (const auto& [rows, ms] : {std::pair(16, 6), {128, 7}, {256, 10}, {512, 15}, {1024, 27}})
      model.Observe(rows, milliseconds(ms));
  return model;
}

void ExpectRows(const SchedulerOptions& o, int decode_rows, int rows, RowsChoice choice) {
  const StepRows got = ChooseStepRows(o, Learned(), decode_rows, true);
  EXPECT_EQ(got.most, rows) << decode_rows << " decode rows, target " << Milliseconds(o.step_target) << " ms";
  EXPECT_EQ(RowsChoiceName(got.choice), RowsChoiceName(choice));
}

TEST(StepRows, TheLargestStepWhereNobodyDecodes) {
  ExpectRows(GpuOptions(), 0, 1024, RowsChoice::kPrefillRate);
  ExpectRows(GpuOptions(microseconds(1)), 0, 1024, RowsChoice::kPrefillRate);
  ExpectRows(GpuOptions(milliseconds(50), 256), 0, 1024, RowsChoice::kPrefillRate);
  ExpectRows(GpuOptions(milliseconds(50), 2048, 2048), 0, 2048, RowsChoice::kPrefillRate);
  ExpectRows(GpuOptions(milliseconds(50), 512, 1100), 0, 1024, RowsChoice::kPrefillRate);
}

TEST(StepRows, HalvesUntilTheStepIsWithinTheBudgetOfThoseWhoDecode) {
  ExpectRows(GpuOptions(milliseconds(50)), 16, 512, RowsChoice::kDefault);
  ExpectRows(GpuOptions(milliseconds(16)), 16, 512, RowsChoice::kDefault);
  ExpectRows(GpuOptions(milliseconds(14)), 16, 256, RowsChoice::kLatency);
  ExpectRows(GpuOptions(milliseconds(9)), 16, 128, RowsChoice::kTight);
  ExpectRows(GpuOptions(microseconds(1)), 16, 128, RowsChoice::kTight);
}

TEST(StepRows, TheOperatorAsksForRateOrLatencyByTheChunk) {
  ExpectRows(GpuOptions(milliseconds(50), 1024), 16, 1024, RowsChoice::kDefault);
  ExpectRows(GpuOptions(milliseconds(20), 1024), 16, 512, RowsChoice::kLatency);
  ExpectRows(GpuOptions(milliseconds(50), 256), 16, 256, RowsChoice::kDefault);
  ExpectRows(GpuOptions(milliseconds(50), 128), 16, 128, RowsChoice::kDefault);
  ExpectRows(GpuOptions(milliseconds(50), 64), 16, 128, RowsChoice::kDefault);
  ExpectRows(GpuOptions(milliseconds(50), 700), 16, 640, RowsChoice::kDefault);
  ExpectRows(GpuOptions(milliseconds(50), 4096), 16, 1024, RowsChoice::kDefault);
}

TEST(StepRows, AChunkFindsRoomBesideManyDecodeRows) {
  ExpectRows(GpuOptions(milliseconds(50)), 500, 640, RowsChoice::kDefault);
  ExpectRows(GpuOptions(microseconds(1)), 100, 128, RowsChoice::kTight);
  ExpectRows(GpuOptions(microseconds(1)), 120, 256, RowsChoice::kTight);
  ExpectRows(GpuOptions(microseconds(1)), 256, 384, RowsChoice::kTight);
  ExpectRows(GpuOptions(milliseconds(50)), 1020, 1024, RowsChoice::kDefault);
  ExpectRows(GpuOptions(milliseconds(50)), 1024, 1024, RowsChoice::kDefault);
}

TEST(StepRows, AreMultiplesOfTheQuantumWhateverIsAsked) {
  for (const int chunk : {16, 127, 128, 300, 512, 1000, 8192})
    for (int decode_rows = 0; decode_rows <= 256; ++decode_rows)
      for (const int target_us : {1, 9000, 14000, 50000}) {
        const StepRows got = ChooseStepRows(GpuOptions(microseconds(target_us), chunk), Learned(), decode_rows, true);
        ASSERT_EQ(got.most % kQuantum, 0) << chunk << " " << decode_rows << " " << target_us;
        ASSERT_GE(got.most - decode_rows, 16);
        ASSERT_LE(got.most, 1024);
      }
}

TEST(StepRows, AreRightAfterAFewStepsFromTheStart) {
  const std::map<int, double> staircase = {{128, 4.40}, {256, 5.83}, {512, 9.87}};  // ms, 8B on an H200
  struct Case {
    double speed, target_ms;
    int rows;
  };
  for (const Case& c : {Case{1, 50, 512},
                        {1, 12, 512},
                        {1, 8, 256},
                        {1, 5, 128},
                        {0.1, 2, 512},
                        {0.1, 0.7, 256},
                        {5, 60, 512},
                        {5, 40, 256},
                        {5, 20, 128},
                        {20, 130, 256}}) {
    StepTimeModel model(kQuantum);
    const SchedulerOptions o = GpuOptions(std::chrono::nanoseconds(static_cast<int64_t>(c.target_ms * 1e6)));
    int wrong = 0;
    for (int step = 0; step < 200; ++step) {
      const int rows = ChooseStepRows(o, model, 16, true).most;
      wrong += rows != c.rows;
      model.Observe(rows, std::chrono::nanoseconds(static_cast<int64_t>(staircase.at(rows) * c.speed * 1e6)));
    }
    EXPECT_LE(wrong, 7) << c.rows << " rows within " << c.target_ms << " ms at " << c.speed;
  }
}

TEST(StepRows, OnTheCpuAsManyAsTheTargetAllows) {
  SchedulerOptions o = Options(1024);
  o.chunk_tokens_max = o.step_rows_max = 512;
  StepTimeModel model;
  for (int i = 0; i < 400; ++i)
    for (const int rows : {1, 8, 64, 256}) model.Observe(rows, microseconds(5000 + rows * 200));
  const auto choose = [&](Duration target, int decode_rows, bool others) {
    o.step_target = target;
    const StepRows got = ChooseStepRows(o, model, decode_rows, others);
    return std::pair(got.most, RowsChoiceName(got.choice));
  };
  EXPECT_EQ(choose(microseconds(1), 0, false), std::pair(512, std::string_view("prefill rate")));
  EXPECT_EQ(choose(std::chrono::hours(1), 5, true), std::pair(512, std::string_view("default")));
  const auto [rows, name] = choose(milliseconds(45), 5, true);
  EXPECT_EQ(rows % kBlockTokens, 0);
  EXPECT_NEAR(rows, 200, 24);
  EXPECT_EQ(name, "latency");
  EXPECT_EQ(choose(microseconds(1), 5, true), std::pair(5 + 16, std::string_view("tight")));
  EXPECT_EQ(choose(microseconds(1), 510, true), std::pair(512, std::string_view("tight")));
  EXPECT_EQ(choose(microseconds(1), 512, true).first, 512);
}

int RowsOf(const PlannedStep& step) {
  int rows = 0;
  for (const StepItem& item : step.plan.items) rows += static_cast<int>(item.tokens.size());
  return rows;
}

TEST(StepRows, APlanSaysWhyItIsAsLargeAsItIs) {
  std::mt19937 rng(8);
  ManualClock clock;
  FakeDevice device(1024);
  Scheduler scheduler(GpuOptions());
  const auto step = [&] {
    const auto planned = scheduler.Plan(clock.Now());
    if (!planned) return std::pair(0, std::string_view());
    scheduler.Complete(device.Run(planned->plan), clock.Now());
    return std::pair(RowsOf(*planned), RowsChoiceName(planned->choice));
  };
  WorkerReport report;
  ASSERT_TRUE(scheduler.Admit(MakeRequest(1, 1100, 100, rng), Route::kLocal, clock.Now()).ok());
  EXPECT_EQ(step(), std::pair(1024, std::string_view("prefill rate"))) << "one sequence alone, over chunk_tokens";
  EXPECT_EQ(step(), std::pair(76, std::string_view("prefill rate")));
  EXPECT_EQ(step(), std::pair(1, std::string_view("decode")));
  scheduler.Report(report);
  EXPECT_FALSE(report.step) << "nothing was chosen beside rows that decode";
  ASSERT_TRUE(scheduler.Admit(MakeRequest(2, 900, 100, rng), Route::kLocal, clock.Now()).ok());
  ASSERT_TRUE(scheduler.Admit(MakeRequest(3, 100, 100, rng), Route::kLocal, clock.Now()).ok());
  EXPECT_EQ(step(), std::pair(512, std::string_view("default"))) << "with the row that decodes";
  const auto [rows, choice] = step();
  EXPECT_EQ(rows, 1 + (900 - 32 - 511) + (100 - 32)) << "two prompts share a step; two blocks of each are cached";
  EXPECT_EQ(choice, "default");
  EXPECT_EQ(step(), std::pair(3, std::string_view("decode")));
  scheduler.Report(report);
  ASSERT_TRUE(report.step);
  EXPECT_EQ(report.step->rows, 512);
  EXPECT_EQ(report.step->choice, RowsChoice::kDefault);
  EXPECT_GT(report.step->predicted_ms, 0);
  EXPECT_GT(report.step->decode_ms, 0);
}

}  // namespace
}  // namespace tokenworks::scheduler
