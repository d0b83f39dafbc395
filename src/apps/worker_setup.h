// SPDX-License-Identifier: Apache-2.0
// Builds a worker's executor and options from the configuration: what `worker` and `serve` share.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/model/cuda_loader/cuda_library.h"
#include "launch/cluster_config.h"
#include "tokenworks/executor.h"
#include "tokenworks/status.h"
#include "worker/worker.h"

namespace tokenworks::apps {

// Why the process ends; ok while its device computes. Written before the signal, read after it.
struct LostDevice {
  Status status;
};

// `pool` of the configuration that a role belongs to.
const launch::PoolConfig& PoolOf(const launch::ClusterConfig& config, WorkerRole role);
StatusOr<WorkerRole> ParseRole(const std::string& name);
// What an executor on a GPU is made with.
model::CudaOptions CudaOptionsOf(const launch::ClusterConfig& config, const launch::PoolConfig& pool, int device);
// On `gpu` where there is one.
StatusOr<std::unique_ptr<Executor>> MakeExecutor(const launch::ClusterConfig& config, const launch::PoolConfig& pool,
                                                 const std::optional<model::CudaDevice>& gpu);
// For a worker on a GPU its readings are part of the options; where the driver's management library says nothing, a
// line in the log does.
worker::WorkerOptions MakeWorkerOptions(const launch::ClusterConfig& config, const std::string& id, WorkerRole role,
                                        const std::string& peer_socket, const std::optional<model::CudaDevice>& gpu);

// Ends this process like a stop signal when the worker says that its device is lost, and keeps why in `lost`, which
// must outlive the worker.
void EndWhenLost(worker::WorkerOptions& options, LostDevice& lost);

}  // namespace tokenworks::apps
