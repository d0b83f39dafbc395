// SPDX-License-Identifier: Apache-2.0
// What every executor of a depth of two promises of plans that are in flight together.
#include <utility>

#include "executor_conformance.h"

namespace tokenworks::model {
namespace {

// Draws 9 tokens after a prompt of 20 with each plan submitted before the one that draws its token is collected.
void DrawAhead(Executor& executor, Sequence& sequence) {
  StepPlan prefill;
  prefill.starts = {sequence.Start()};
  prefill.items = {sequence.Next(64)};
  ASSERT_TRUE(executor.Submit(prefill).ok());
  StepPlan next;
  next.items = {{{kPendingToken}, 20, Blocks(0, 3), {kA}}};
  for (int step = 1; step < 9; ++step) {
    next.items[0].first_position = 19 + step;
    ASSERT_TRUE(executor.Submit(next).ok());
    const auto result = executor.Collect();
    ASSERT_TRUE(result.ok()) << result.status();
    sequence.Take(*result);
  }
  sequence.Take(*executor.Collect());
  next.items[0].tokens.push_back(5);
  EXPECT_EQ(executor.Submit(next).code(), StatusCode::kInvalidArgument) << "it stands alone";
}

TEST_P(ExecutorConformance, APendingTokenIsTheOneThatThePlanBeforeDraws) {
  for (const float penalty : {1.0f, 1.1f}) {  // penalties look at tokens that are not collected yet
    SamplingParams sampling = Warm(1);
    sampling.repetition_penalty = penalty;
    Sequence known(kA, MakePrompt(20, 17), Blocks(0, 3), sampling),
        ahead(kA, MakePrompt(20, 17), Blocks(0, 3), sampling);
    const auto plain = GetParam().make(), other = GetParam().make();
    known.Generate(*plain, {64}, 9);
    if (plain->info().depth > 1) {
      DrawAhead(*other, ahead);
      EXPECT_EQ(ahead.answers(), known.answers()) << "penalty " << penalty;
      continue;
    }
    StepPlan next;
    next.starts = {ahead.Start()};
    next.items = {{{kPendingToken}, 20, Blocks(0, 3), {kA}}};
    EXPECT_EQ(other->Submit(next).code(), StatusCode::kInvalidArgument) << "no plan runs while another is drawn";
  }
}

TEST_P(ExecutorConformance, PlansInFlightKeepApart) {
  if (executor().info().depth < 2) return;
  SamplingParams sampling = Warm(2);
  sampling.repetition_penalty = 1;
  Sequence a(kA, MakePrompt(30, 21), Blocks(0, 3), sampling), b(kB, MakePrompt(17, 22), Blocks(4, 3), sampling);
  Sequence together[] = {a, b};
  a.Generate(executor(), {64}, 6);
  b.Generate(executor(), {64}, 6);
  const auto other = GetParam().make();
  const auto submit = [&](Sequence& s) {
    StepPlan plan;
    if (!std::exchange(s.opened, true)) plan.starts = {s.Start()};
    plan.items = {s.Next(64)};
    ASSERT_TRUE(other->Submit(plan).ok());
  };
  submit(together[0]);
  for (int step = 0; step < 12; ++step) {  // each sequence has a plan in flight while the other's is collected
    if (step < 11) submit(together[(step + 1) % 2]);
    const auto result = other->Collect();
    ASSERT_TRUE(result.ok()) << result.status();
    together[step % 2].Take(*result);
  }
  EXPECT_EQ(together[0].answers(), a.answers());
  EXPECT_EQ(together[1].answers(), b.answers());
}

}  // namespace
}  // namespace tokenworks::model
