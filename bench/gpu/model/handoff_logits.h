// SPDX-License-Identifier: Apache-2.0
// What a hand-off from the CUDA executor to the CPU costs in accuracy: logits of a text that goes on from converted KV.
#pragma once

#include "engine/model/cpu/cpu_executor.h"
#include "engine/model/cuda/cuda_executor.h"

namespace tokenworks::bench {

struct HandoffLogits {
  int positions = 0;
  double worst = 0;  // largest |difference| / largest |logit| of any position, against the CPU's own prefill
  int same = 0;      // positions with the same likeliest token
};

// `text` is `prompt` tokens (less than all) computed by `cuda` in one chunk, its KV packed out, converted and copied
// into the blocks of `receiving`; then both CPU executors, of which `own` has computed the prompt itself, are fed the
// rest token by token. Blocks 0 .. of all three are overwritten. Errors: theirs.
StatusOr<HandoffLogits> MeasureHandoff(model::cuda::CudaExecutor& cuda, model::cpu::CpuExecutor& receiving,
                                       model::cpu::CpuExecutor& own, const std::vector<TokenId>& text, int prompt);

}  // namespace tokenworks::bench
