// SPDX-License-Identifier: Apache-2.0
#include "engine/scheduler/step_time_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace tokenworks::scheduler {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

void ExpectSane(const StepTimeModel& model, const char* when) {
  EXPECT_TRUE(std::isfinite(model.PredictMs(1))) << when;
  EXPECT_GT(model.PredictMs(1), 0) << when;
  EXPECT_LT(model.PredictMs(1), model.PredictMs(512)) << when;
  const int rows = model.RowsWithin(milliseconds(50), 16);
  EXPECT_GE(rows, 16) << when;
  EXPECT_GE(model.RowsWithin(milliseconds(100), 16), rows) << when;
}

TEST(StepTimeModel, LearnsBaseAndRows) {
  StepTimeModel model;
  for (int i = 0; i < 400; ++i)
    for (const int rows : {1, 8, 64, 256}) model.Observe(rows, microseconds(5000 + rows * 200));
  EXPECT_NEAR(model.PredictMs(0), 5, 0.5);
  EXPECT_NEAR(model.PredictMs(256), 56.2, 3);
  EXPECT_NEAR(model.RowsWithin(milliseconds(45), 1), 200, 20);
}

TEST(StepTimeModel, OneSampleMovesItALittleOnly) {
  for (const int rows : {1, 15, 16, 8192})
    for (const Duration took : {Duration(0), Duration(1), Duration(std::chrono::hours(1)), Duration::max()}) {
      StepTimeModel model;
      model.Observe(rows, took);
      ExpectSane(model, "one sample");
      EXPECT_LT(model.PredictMs(1), 10) << rows;
    }
}

TEST(StepTimeModel, EqualRowsStillPredictThem) {
  for (const int rows : {1, 16, 300}) {
    StepTimeModel model;
    for (int i = 0; i < 500; ++i) model.Observe(rows, milliseconds(30));
    ExpectSane(model, "equal rows");
    EXPECT_NEAR(model.PredictMs(rows), 30, 3) << rows;
  }
}

TEST(StepTimeModel, RecoversFromStepsThatTookNoTime) {
  for (const int rows : {1, 64}) {
    StepTimeModel model;
    for (int i = 0; i < 20'000; ++i) model.Observe(rows, Duration(0));
    ExpectSane(model, "no time");
    for (int i = 0; i < 200; ++i) model.Observe(rows, milliseconds(20));
    EXPECT_NEAR(model.PredictMs(rows), 20, 4) << rows;
  }
}

TEST(StepTimeModel, IgnoresWhatIsNoStep) {
  StepTimeModel model;
  const double before = model.PredictMs(100);
  model.Observe(0, milliseconds(500));
  model.Observe(-3, milliseconds(500));
  EXPECT_EQ(model.PredictMs(100), before);
  model.Observe(1, milliseconds(-5));
  model.Observe(64, milliseconds(-5));
  ExpectSane(model, "negative time");
}

TEST(StepTimeModel, RowsStayInRangeForEveryTarget) {
  StepTimeModel model;
  for (int i = 0; i < 1000; ++i) model.Observe(8192, Duration(0));
  EXPECT_EQ(model.RowsWithin(Duration(0), 7), 7);
  EXPECT_EQ(model.RowsWithin(Duration(-1), 7), 7);
  EXPECT_GT(model.RowsWithin(Duration::max(), 7), 8192);
}

// 32 layers' products of an 8B model on an H200.
const std::map<int, double> kStaircase = {{16, 4.0}, {128, 4.40}, {256, 5.83}, {512, 9.87}, {1024, 19.4}};

Duration Took(double ms) { return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(ms)); }

TEST(StepTimeModel, FollowsAStaircaseAfterFewStepsOfEachSize) {
  for (const double speed : {0.1, 1.0, 5.0}) {
    StepTimeModel model(128);
    for (int i = 0; i < 40; ++i) model.Observe(16, Took(4.0 * speed));
    for (int i = 0; i < 4; ++i)
      for (const auto& [rows, ms] : kStaircase) model.Observe(rows, Took(ms * speed));
    for (const auto& [rows, ms] : kStaircase)
      EXPECT_NEAR(model.PredictMs(rows), ms * speed, 0.15 * ms * speed) << rows << " rows at " << speed;
    EXPECT_EQ(model.PredictMs(500), model.PredictMs(512)) << "rows that the executor rounds up";
  }
}

TEST(StepTimeModel, ASizeNotSeenFollowsFromItsNeighbour) {
  StepTimeModel model(128);
  for (int i = 0; i < 40; ++i) model.Observe(16, Took(4.0));
  for (const auto& [rows, ms] : kStaircase) EXPECT_NEAR(model.PredictMs(rows), ms, 0.35 * ms) << rows;
  for (int i = 0; i < 10; ++i) model.Observe(512, Took(9.87));
  for (const auto& [rows, ms] : kStaircase) EXPECT_NEAR(model.PredictMs(rows), ms, 0.30 * ms) << rows;
}

TEST(StepTimeModel, ASizeThatLookedSlowIsTriedAgain) {
  StepTimeModel model(128);
  for (int i = 0; i < 10; ++i) model.Observe(256, Took(5.83));
  for (int i = 0; i < 10; ++i) model.Observe(512, Took(100));
  EXPECT_GT(model.PredictMs(512), 50) << "it was slow for long";
  for (int i = 0; i < 1000; ++i) model.Observe(16, Took(4.0));
  EXPECT_GT(model.PredictMs(512), 50) << "steps that only decode do not say otherwise";
  for (int i = 0; i < 300; ++i) model.Observe(256, Took(5.83));
  EXPECT_LT(model.PredictMs(512), 12);
}

TEST(StepTimeModel, OneOutlierOnAStaircaseCountsClipped) {
  StepTimeModel model(128);
  for (int i = 0; i < 10; ++i) model.Observe(512, Took(10));
  model.Observe(512, std::chrono::hours(1));
  EXPECT_LT(model.PredictMs(512), 20);
  model.Observe(512, Duration(-1));
  model.Observe(0, Took(1000));
  EXPECT_GT(model.PredictMs(512), 5);
  for (int i = 0; i < 20'000; ++i) model.Observe(512, Duration(0));
  for (int i = 0; i < 50; ++i) model.Observe(512, Took(10));
  EXPECT_NEAR(model.PredictMs(512), 10, 1) << "it recovers from steps that took no time";
  for (int i = 0; i < 300; ++i) model.Observe(8192, Duration(0));
  model.Observe(1, Duration(0));
  EXPECT_GT(model.PredictMs(1), 0);
}

}  // namespace
}  // namespace tokenworks::scheduler
