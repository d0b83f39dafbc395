// SPDX-License-Identifier: Apache-2.0
// Logits of every position of a token list, by one CpuExecutor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/cpu/cpu_executor.h"

namespace tokenworks::model::cpu {

// The default model's file (fetched when absent).
StatusOr<std::string> DefaultModelPath();
// The default model. `reference`: F32 weights and KV.
StatusOr<std::unique_ptr<CpuExecutor>> MakeDefaultModel(bool reference, int threads);

// Calls `take(position, logits)` for every position in order. Blocks 0 .. are overwritten; at most `chunk` rows a step.
Status ForEachLogits(CpuExecutor& executor, const std::vector<TokenId>& ids, int chunk,
                     const std::function<void(int, const float*)>& take);

}  // namespace tokenworks::model::cpu
