// SPDX-License-Identifier: Apache-2.0
// The workers that a configuration asks for, and the GPU of each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/cluster_config.h"

namespace tokenworks::launch {

// A GPU of this host that workers can run on.
struct HostGpu {
  int index = 0;     // N of cuda:N; may be another after a restart of the machine
  std::string uuid;  // what it is chosen by
  std::string name;
  uint64_t free_bytes = 0;
  uint64_t context_bytes = 0;  // that each process takes beside weights and KV
};

struct HostGpus {
  Status status;                      // why there is none; ok where `usable` holds one
  std::vector<HostGpu> usable;        // by index
  std::vector<std::string> unusable;  // a sentence for each of the others
};

struct PlannedWorker {
  std::string id;    // "decode-0"
  std::string role;  // "decode"
  const PoolConfig* pool = nullptr;
  int gpu = -1;  // place in `usable`; -1: the worker is on the CPU
};

// Of the pools prefill, decode, mixed in turn. The k-th worker of a pool whose device is cuda gets GPU k modulo `gpus`,
// so that a GPU has a second worker only when every GPU has one; with no GPU (0) place 0, which is not there.
std::vector<PlannedWorker> PlanWorkers(const ClusterConfig& config, size_t gpus);

// Some worker is to run on a GPU.
bool WantsGpu(const ClusterConfig& config);

}  // namespace tokenworks::launch
