// SPDX-License-Identifier: Apache-2.0
// The facts of this machine that a preflight examines.
#pragma once

#include <string>

#include "launch/preflight/preflight.h"

namespace tokenworks::launch {

// Binds and closes. The answer holds for the moment.
PortFacts ProbePort(std::string key, std::string host, int port);
// Memory, limits and folders; kernels and kv_default_bytes are the caller's.
MachineFacts ProbeMachine(const ClusterConfig& config, const std::string& run_folder);

// The memory that a new process may take: MemAvailable, or what the control group leaves where that is less. 0 =
// unknown.
uint64_t AvailableBytes(const std::string& meminfo, const std::string& group_limit, const std::string& group_used);

}  // namespace tokenworks::launch
