// SPDX-License-Identifier: Apache-2.0
// One live cluster a folder; what a dead one left is cleared.
#include "launch/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "temporary_folder.h"

namespace tokenworks::launch {
namespace {

TEST(RunFolder, IsClaimedOnceAndFreedByDeath) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/run/one";
  RunFolder here(path);
  EXPECT_FALSE(here.Holder().has_value());
  const pid_t child = fork();
  if (child == 0) _exit(RunFolder(path).Claim().ok() && RunFolder(path).Write("router.json", "{}").ok() ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_FALSE(here.Holder().has_value()) << "its holder is dead";
  EXPECT_TRUE(here.Read("router.json").ok());
  ASSERT_TRUE(here.Claim().ok());
  EXPECT_EQ(here.Holder(), getpid());
  EXPECT_EQ(here.Read("router.json").status().code(), StatusCode::kNotFound) << "what the dead one left is cleared";
  EXPECT_EQ(RunFolder(path).Claim().code(), StatusCode::kAlreadyExists);
  here.RemoveAll();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(RunFolder, SaysWhichClustersRun) {
  const TemporaryFolder home;
  EXPECT_TRUE(RunningClusters(home.path()).empty()) << "there is no folder of runs yet";
  EXPECT_EQ(NoClusterRuns("local", home.path()), "no cluster 'local' runs");
  RunFolder one(home.path() + "/run/one"), two(home.path() + "/run/two");
  EXPECT_TRUE(two.Vacant().ok());
  ASSERT_TRUE(two.Claim().ok());
  std::filesystem::create_directories(home.path() + "/run/dead");
  EXPECT_EQ(RunningClusters(home.path()), std::vector<std::string>{"two"});
  EXPECT_EQ(NoClusterRuns("local", home.path()), "no cluster 'local' runs (two does: --name two)");
  ASSERT_TRUE(one.Claim().ok());
  EXPECT_EQ(NoClusterRuns("local", home.path()), "no cluster 'local' runs (one, two do: --name one)");
  EXPECT_EQ(two.Vacant().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(two.Vacant().message()),
              testing::HasSubstr("a cluster 'two' already runs; stop it with `tokenworks down --name two`"));
}

TEST(RunFolder, KeepsTheConfiguration) {
  const TemporaryFolder folder;
  RunFolder here(folder.path());
  ClusterConfig config;
  config.model = "a file.gguf";
  config.http_port = 0;
  config.decode.kv_memory = 12345;
  ASSERT_TRUE(here.SaveConfig(config).ok());
  const auto read = here.LoadConfig();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(PrintConfig(*read), PrintConfig(config));
}

TEST(RunFolder, PathsThatCannotHoldSocketsOrFilesAreRefused) {
  EXPECT_EQ(RunFolder("/tmp/" + std::string(100, 'x')).Claim().code(), StatusCode::kInvalidArgument);
  const TemporaryFolder folder;
  EXPECT_EQ(RunFolder(folder.File("file", "") + "/run").Claim().code(), StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace tokenworks::launch
