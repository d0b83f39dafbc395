// SPDX-License-Identifier: Apache-2.0
// What a model takes of a GPU's memory, summed up before anything is loaded.
#pragma once

#include <cstdint>

#include "engine/model/model_config.h"
#include "platform/device/device.h"
#include "tokenworks/kv_layout.h"

namespace tokenworks::model::cuda {

// The largest step that buffers are made for.
struct StepLimits {
  int rows = 1024;    // of all items
  int samples = 256;  // sequences that draw a token in one step
};

struct MemoryPlan {
  uint64_t weights = 0, workspace = 0, kv = 0;
  int kv_blocks = 0;
};

// The pool's order is [block][layer][K|V][head][token][dim] in bf16.
KvLayout MakeKvLayout(const ModelConfig& config);

// The device context's own memory, graphs and the matrix library's workspace; 0 on the host.
uint64_t ContextBytes(const device::DeviceInfo& device);

// Unimplemented: a shape that the kernels do not have.
Status CheckShape(const ModelConfig& config);
// The model's context, or what is asked for where that is less and not 0.
void LimitContext(ModelConfig& config, int asked);
// Activations, inputs, scratch and messages of an executor with these limits.
uint64_t WorkspaceBytes(const ModelConfig& config, const StepLimits& limits, int multiprocessors);

// Unimplemented: as CheckShape. ResourceExhausted: weights, workspace, two KV blocks and the
// context do not fit in the device's free memory, with the sum. `kv_bytes` 0: nine tenths of what the others leave.
StatusOr<MemoryPlan> PlanMemory(const ModelConfig& config, const StepLimits& limits, uint64_t kv_bytes,
                                const device::DeviceInfo& device);

}  // namespace tokenworks::model::cuda
