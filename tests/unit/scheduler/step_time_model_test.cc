// SPDX-License-Identifier: Apache-2.0
#include "engine/scheduler/step_time_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

}  // namespace
}  // namespace tokenworks::scheduler
