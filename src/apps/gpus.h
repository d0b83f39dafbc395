// SPDX-License-Identifier: Apache-2.0
// The GPUs of this host as the GPU library tells of them: for a cluster, and for one worker.
#pragma once

#include <optional>
#include <string>

#include "apps/cluster_options.h"
#include "engine/model/cuda_loader/cuda_library.h"
#include "launch/workers.h"

namespace tokenworks::apps {

// Asks every GPU; holds nothing of one afterwards.
launch::HostGpus ProbeGpus();

// The effective configuration; without a file one mixed worker on each GPU or, where there is none, a prefill and a
// decode worker on the CPU: standard error says which, and why a GPU that is there is not used. `gpus` is filled where
// the GPUs matter. Errors as in ClusterOptions::Load.
StatusOr<launch::ClusterConfig> LoadCluster(const ClusterOptions& options, launch::HostGpus* gpus);

// The GPU of one worker: that of the UUID, or where none is given the first. Empty for a pool that is not on a GPU.
// NotFound where it is not there.
StatusOr<std::optional<model::CudaDevice>> GpuOf(const launch::PoolConfig& pool, const std::string& uuid);

}  // namespace tokenworks::apps
