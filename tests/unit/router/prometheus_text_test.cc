// SPDX-License-Identifier: Apache-2.0
#include "router/prometheus_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace tokenworks::router {
namespace {

using testing::HasSubstr;
using testing::Not;

ClusterStatus TwoWorkers() {
  ClusterStatus s;
  s.workers.resize(2);
  s.workers[0].hello.worker = "prefill-0";
  s.workers[1].hello.worker = "decode-0";
  s.workers[1].restarts = 3;
  s.workers[1].report.step = StepReport{512, RowsChoice::kDefault, 15, 6.5};
  s.workers[1].report.gpu = GpuReading{.utilization = 0.5};
  s.metrics.queue.Observe(std::chrono::milliseconds(3));
  return s;
}

TEST(PrometheusText, EveryMetricIsExplainedOnceBeforeItsSamples) {
  std::istringstream lines(PrometheusText(TwoWorkers()));
  std::set<std::string> seen;
  std::string name, type;
  int samples = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string sign, word, of, next;
    words >> sign >> word >> of;
    if (sign == "#" && word == "HELP") {
      EXPECT_TRUE(seen.insert(name = of).second) << line;
      EXPECT_EQ(line.back(), '.') << line;
      ASSERT_TRUE(std::getline(lines, next));
      EXPECT_TRUE(next.starts_with("# TYPE " + name + " ")) << next;
      continue;
    }
    ++samples;
    EXPECT_TRUE(!name.empty() && line.starts_with(name)) << line << " is no sample of " << name;
  }
  EXPECT_GT(seen.size(), 15u);
  EXPECT_GT(samples, 80);
}

TEST(PrometheusText, RestartsQueueAndWhatAWorkerDoesNotKnow) {
  const std::string text = PrometheusText(TwoWorkers());
  EXPECT_THAT(text, HasSubstr("tokenworks_worker_restarts_total{worker=\"prefill-0\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("tokenworks_worker_restarts_total{worker=\"decode-0\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("tokenworks_request_queue_seconds_bucket{le=\"0.0025\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("tokenworks_request_queue_seconds_bucket{le=\"0.005\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tokenworks_request_queue_seconds_count 1\n"));
  EXPECT_THAT(text, HasSubstr("tokenworks_step_rows{worker=\"decode-0\"} 512\n"));
  EXPECT_THAT(text, Not(HasSubstr("tokenworks_step_rows{worker=\"prefill-0\"}")));
  EXPECT_THAT(text, HasSubstr("tokenworks_gpu_utilization_ratio{worker=\"decode-0\"} 0.5\n"));
  EXPECT_THAT(text, Not(HasSubstr("tokenworks_gpu_power_watts")));
}

}  // namespace
}  // namespace tokenworks::router
