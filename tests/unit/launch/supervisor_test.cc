// SPDX-License-Identifier: Apache-2.0
// When a dead child starts again, and how all are stopped. The children are this binary, which knows no such test.
#include "launch/supervisor.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "temporary_folder.h"

namespace tokenworks::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RestartPolicy, PausesDoubleUpToFiveSecondsAndStartFreshAfterALongLife) {
  RestartPolicy policy;
  TimePoint now{};
  std::vector<int64_t> pauses;
  for (int i = 0; i < 9; ++i) {
    const TimePoint again = policy.Died(now, now + milliseconds(10));
    pauses.push_back(std::chrono::duration_cast<milliseconds>(again - now - milliseconds(10)).count());
    now = again;
  }
  EXPECT_EQ(pauses, (std::vector<int64_t>{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000}));
  EXPECT_EQ(policy.Died(now, now + seconds(31)), now + seconds(31)) << "a long life starts again at once";
  EXPECT_EQ(policy.Died(now, now + seconds(1)), now + seconds(1) + milliseconds(100));
}

// Ticks until a child has died; the test's own timeout bounds it.
std::vector<Death> TickUntilDeath(Supervisor& supervisor, TimePoint now) {
  while (true)
    if (auto died = supervisor.Tick(now); !died.empty()) return died;
}

TEST(Supervisor, ADeadChildIsReapedAndStartedAgainWhenItsPauseIsOver) {
  const TemporaryFolder folder;
  Supervisor supervisor;
  supervisor.Add("short", {"--gtest_filter=None"}, folder.path() + "/short.log");
  TimePoint now{};
  EXPECT_TRUE(supervisor.Tick(now).empty());
  const Child& child = supervisor.children()[0];
  ASSERT_GT(child.pid, 0);
  const std::vector<Death> died = TickUntilDeath(supervisor, now + milliseconds(1));
  ASSERT_EQ(died.size(), 1u);
  EXPECT_EQ(died[0].name, "short");
  EXPECT_EQ(died[0].how, "exit code 0");
  EXPECT_EQ(died[0].pause, milliseconds(100));
  EXPECT_EQ(child.starts, 1);
  EXPECT_TRUE(supervisor.Tick(now + milliseconds(50)).empty());
  EXPECT_EQ(child.starts, 1) << "its pause is not over";
  EXPECT_TRUE(supervisor.Tick(now + milliseconds(101)).empty());
  EXPECT_EQ(child.starts, 2);
  EXPECT_NE(std::filesystem::file_size(child.log), 0u) << "its output goes to its log";
  supervisor.StopAll(seconds(10));
  EXPECT_EQ(child.pid, -1);
}

// Run by the test below as a child: says that it is there and ignores SIGTERM.
TEST(Supervisor, DISABLED_ChildThatIgnoresSigterm) {
  std::signal(SIGTERM, SIG_IGN);
  std::printf("here\n");
  std::fflush(stdout);
  while (true) pause();
}

TEST(Supervisor, AChildThatIsKilledIsNamedWithTheSignal) {
  const TemporaryFolder folder;
  Supervisor supervisor;
  supervisor.Add("killed", {"--gtest_also_run_disabled_tests", "--gtest_filter=*IgnoresSigterm"},
                 folder.path() + "/killed.log");
  supervisor.Tick({});
  kill(supervisor.children()[0].pid, SIGKILL);
  const std::vector<Death> died = TickUntilDeath(supervisor, TimePoint{} + seconds(31));
  ASSERT_EQ(died.size(), 1u);
  EXPECT_EQ(died[0].how, "signal 9, Killed");
  EXPECT_EQ(died[0].pause, Duration(0)) << "after a long life";
  supervisor.StopAll(milliseconds(0));
}

TEST(Supervisor, AStubbornChildIsKilled) {
  const TemporaryFolder folder;
  Supervisor supervisor;
  const std::string log = folder.path() + "/stubborn.log";
  supervisor.Add("stubborn", {"--gtest_also_run_disabled_tests", "--gtest_filter=*IgnoresSigterm"}, log);
  supervisor.Tick({});
  for (bool there = false; !there;) {
    std::ifstream in(log);
    for (std::string line; std::getline(in, line);) there |= line == "here";
  }
  supervisor.StopAll(milliseconds(50));
  EXPECT_EQ(supervisor.children()[0].pid, -1);
}

}  // namespace
}  // namespace tokenworks::launch
