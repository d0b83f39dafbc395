// SPDX-License-Identifier: Apache-2.0
// Gathers what a preflight examines: the model file, this CPU's kernels, a GPU, ports and memory.
#pragma once

#include <string>
#include <vector>

#include "launch/preflight/preflight.h"

namespace tokenworks::apps {

// `model_path` names a file that is there, or the status says why there is none; `gpus` matter where a pool wants one.
std::vector<launch::Finding> Preflight(const launch::ClusterConfig& config, const StatusOr<std::string>& model_path,
                                       const launch::HostGpus& gpus, const std::string& run_folder);

}  // namespace tokenworks::apps
