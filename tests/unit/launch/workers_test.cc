// SPDX-License-Identifier: Apache-2.0
// Which workers there are, and which GPU each gets.
#include "launch/workers.h"

#include <gtest/gtest.h>

#include "platform/base/str_cat.h"

namespace tokenworks::launch {
namespace {

// "decode-0@1": on the second GPU; without @: on the CPU.
std::string Plan(const ClusterConfig& config, size_t gpus) {
  std::string out;
  for (const PlannedWorker& w : PlanWorkers(config, gpus))
    out += base::StrCat(out.empty() ? "" : " ", w.id, w.gpu < 0 ? "" : base::StrCat("@", w.gpu));
  return out;
}

TEST(Workers, WithoutAFileEveryGpuHasOneMixedWorker) {
  EXPECT_EQ(Plan(LocalGpuConfig(1), 1), "mixed-0@0");
  EXPECT_EQ(Plan(LocalGpuConfig(3), 3), "mixed-0@0 mixed-1@1 mixed-2@2");
  EXPECT_EQ(LocalGpuConfig(100).mixed.replicas, 64) << "what the key takes";
}

TEST(Workers, GpusAreDealtInTurnOverAllPools) {
  ClusterConfig c;
  c.prefill = {.replicas = 2, .device = "cuda"};
  c.decode = {.replicas = 1};
  c.mixed = {.replicas = 3, .device = "cuda"};
  EXPECT_EQ(Plan(c, 4), "prefill-0@0 prefill-1@1 decode-0 mixed-0@2 mixed-1@3 mixed-2@0");
  EXPECT_EQ(Plan(c, 2), "prefill-0@0 prefill-1@1 decode-0 mixed-0@0 mixed-1@1 mixed-2@0");
  EXPECT_EQ(Plan(c, 0), "prefill-0@0 prefill-1@0 decode-0 mixed-0@0 mixed-1@0 mixed-2@0");
}

TEST(Workers, AGpuIsWantedOnlyWhereAWorkerIs) {
  ClusterConfig c;
  c.mixed = {.replicas = 0, .device = "cuda"};
  EXPECT_FALSE(WantsGpu(c));
  c.mixed.replicas = 1;
  EXPECT_TRUE(WantsGpu(c));
}

}  // namespace
}  // namespace tokenworks::launch
