// SPDX-License-Identifier: Apache-2.0
// The text of GET /metrics.
#pragma once

#include <string>

#include "router/cluster_status.h"

namespace tokenworks::router {

// Prometheus' text format 0.0.4: for each metric `# HELP`, `# TYPE` and its samples. What a worker does not know has no
// sample, and a metric without samples no lines at all.
std::string PrometheusText(const ClusterStatus& status);

}  // namespace tokenworks::router
