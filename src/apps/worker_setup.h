// SPDX-License-Identifier: Apache-2.0
// Builds a worker's executor and options from the configuration: what `worker` and `serve` share.
#pragma once

#include <memory>
#include <string>

#include "launch/cluster_config.h"
#include "tokenworks/executor.h"
#include "tokenworks/status.h"
#include "worker/worker.h"

namespace tokenworks::apps {

// `pool` of the configuration that a role belongs to.
const launch::PoolConfig& PoolOf(const launch::ClusterConfig& config, WorkerRole role);
StatusOr<WorkerRole> ParseRole(const std::string& name);
StatusOr<std::unique_ptr<Executor>> MakeExecutor(const launch::ClusterConfig& config, const launch::PoolConfig& pool);
// For a worker on a GPU its readings are part of the options; where the driver's management library says nothing, a
// line in the log does.
worker::WorkerOptions MakeWorkerOptions(const launch::ClusterConfig& config, const std::string& id, WorkerRole role,
                                        const std::string& peer_socket);

}  // namespace tokenworks::apps
