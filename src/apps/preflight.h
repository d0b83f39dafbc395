// SPDX-License-Identifier: Apache-2.0
// Gathers what a preflight examines: the model file, this CPU's kernels, a GPU, ports and memory.
#pragma once

#include <string>
#include <vector>

#include "launch/preflight/preflight.h"

namespace tokenworks::apps {

// What `up` and `check` mean without a file: one prefill and one decode worker on the CPU; where there is a GPU, one
// mixed worker on it. Says on standard error which GPU it is, or why one that is there is not used.
launch::ClusterConfig DefaultCluster();

// `model_path` names a file that is there, or the status says why there is none.
std::vector<launch::Finding> Preflight(const launch::ClusterConfig& config, const StatusOr<std::string>& model_path,
                                       const std::string& run_folder);

}  // namespace tokenworks::apps
