// SPDX-License-Identifier: Apache-2.0
// What must hold before a cluster is started, said all at once: facts in, findings out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/cluster_config.h"
#include "launch/workers.h"
#include "tokenworks/status.h"

namespace tokenworks::launch {

struct PortFacts {
  std::string key;  // "http"
  std::string host;
  int port = 0;         // 0 = any free one
  std::string problem;  // why it cannot be bound; empty = it can
  std::string holder;   // "python3 (process 12)" where known
};

struct ModelFacts {
  Status status;  // why the model cannot be used
  std::string path, name;
  uint64_t weight_bytes = 0;  // of one worker
  // Of one worker on a GPU, which computes in bf16: weights; activations and scratch, where a pool wants a GPU.
  uint64_t gpu_weight_bytes = 0, gpu_workspace_bytes = 0;
  uint64_t kv_block_bytes = 0;  // 16 positions
  int context_length = 0;
};

struct MachineFacts {
  uint64_t total_bytes = 0, available_bytes = 0;  // memory; of the control group where that is less
  uint64_t kv_default_bytes = 0;                  // of a worker whose kv_memory is 0
  uint64_t open_files_max = 0;
  std::string kernels;  // the set that will run; empty = `kernels_problem`
  std::string kernels_problem, shared_memory_problem, run_folder_problem, step_log_problem;  // empty = none
};

struct Facts {
  std::vector<PortFacts> ports;
  ModelFacts model;
  MachineFacts machine;
  HostGpus gpus;  // looked for where a pool wants one
};

enum class Severity : uint8_t { kOk, kWarning, kError };

struct Finding {
  Severity severity;
  std::string subject;   // "memory"
  std::string sentence;  // what was found, and what to do about it
};

// One finding for everything that was examined, in a fixed order. Pure.
std::vector<Finding> Examine(const ClusterConfig& config, const Facts& facts);

// All errors in one InvalidArgument, one a line; ok when there is none.
Status Errors(const std::vector<Finding>& findings);

}  // namespace tokenworks::launch
