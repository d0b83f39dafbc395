// SPDX-License-Identifier: Apache-2.0
#include "router/cluster_status.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace tokenworks::router {
namespace {

TEST(ClusterStatus, ShowsTheStepThatAWorkerHasChosen) {
  ClusterStatus s;
  s.workers.resize(2);
  s.workers[0].report.step = StepReport{512, RowsChoice::kDefault, 15.25, 6.5};
  const auto workers = ToJson(s)["workers"];
  EXPECT_EQ(workers[0]["step"].dump(), R"({"rows":512,"choice":"default","predicted_ms":15.25,"decode_ms":6.5})");
  EXPECT_FALSE(workers[1].contains("step")) << "none was chosen";
}

}  // namespace
}  // namespace tokenworks::router
