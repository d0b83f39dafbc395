// SPDX-License-Identifier: Apache-2.0
// Who goes first when the pool cannot hold all.
#include "scheduler_fixture.h"

namespace tokenworks::scheduler {
namespace {

// A hand-off that is granted while an earlier one waits for blocks waits behind it, however small it is.
TEST(SchedulerOrder, ALaterGrantOvertakesNobodyWhoWaitsForBlocks) {
  std::mt19937 rng(5);
  ManualClock clock;
  FakeDevice device(14);
  Scheduler scheduler(Options(14));
  Pipeline pipeline(scheduler, device, 1);
  ASSERT_TRUE(scheduler.Admit(MakeRequest(1, 100, 40, rng), Route::kLocal, clock.Now()).ok());
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(pipeline.Step(clock.Now()));
  const auto large = MakeRequest(2, 150, 1, rng);
  ASSERT_TRUE(scheduler.Admit(large, Route::kHandoff, clock.Now()).ok());
  scheduler.Grant(large.id, 0, clock.Now());
  std::vector<RequestId> order;
  const auto take = [&] {
    for (const PrefillDone& done : scheduler.TakeOutput().prefill_done) {
      order.push_back(done.request);
      scheduler.EndHandoff(done.request, OkStatus(), clock.Now());
    }
  };
  for (uint64_t id = 3; id < 200 && order.empty(); ++id) {  // small ones keep coming
    const auto small = MakeRequest(id, 20, 1, rng);
    ASSERT_TRUE(scheduler.Admit(small, Route::kHandoff, clock.Now()).ok());
    scheduler.Grant(small.id, 0, clock.Now());
    pipeline.Step(clock.Now());
    take();
  }
  ASSERT_FALSE(order.empty());
  EXPECT_EQ(order[0], large.id);
}

}  // namespace
}  // namespace tokenworks::scheduler
