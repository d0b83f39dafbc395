// SPDX-License-Identifier: Apache-2.0
#include "logits_oracle.h"

#include <algorithm>

#include "launch/run_folder.h"
#include "model_files/model_store.h"

namespace tokenworks::model::cpu {

StatusOr<std::string> DefaultModelPath() {
  return model_files::ModelStore(launch::HomeFolder()).Pull("default", [](const std::string&) {});
}

StatusOr<std::unique_ptr<CpuExecutor>> MakeDefaultModel(bool reference, int threads) {
  CpuExecutorOptions options;
  TW_ASSIGN_OR_RETURN(options.model_path, DefaultModelPath());
  options.threads = threads;
  options.kv_bytes = uint64_t{96} << 20;
  options.reference = reference;
  return CpuExecutor::Create(options);
}

Status ForEachLogits(CpuExecutor& executor, const std::vector<TokenId>& ids, int chunk,
                     const std::function<void(int, const float*)>& take) {
  static uint64_t plans = 0;
  std::vector<BlockId> blocks;
  for (size_t b = 0; b * kBlockTokens < ids.size(); ++b) blocks.push_back(static_cast<BlockId>(b));
  const int total = static_cast<int>(ids.size());
  for (int first = 0; first < total; first += chunk) {
    StepPlan plan;
    plan.id = ++plans;
    const int rows = std::min(chunk, total - first);
    for (int i = 0; i < rows; ++i) {  // one item a row: each has its own sample, so its logits are kept
      const SequenceId sequence{{plan.id}, static_cast<uint32_t>(i)};
      SequenceStart start;
      start.sequence = sequence;
      start.sampling.temperature = 0;
      plan.starts.push_back(std::move(start));
      StepItem item;
      item.tokens = {ids[static_cast<size_t>(first + i)]};
      item.first_position = first + i;
      item.blocks = blocks;
      item.samples = {sequence};
      item.is_prefill = true;
      plan.items.push_back(std::move(item));
    }
    TW_RETURN_IF_ERROR(executor.Submit(std::move(plan)));
    TW_RETURN_IF_ERROR(executor.Collect().status());
    for (int i = 0; i < rows; ++i) take(first + i, executor.last_logits(i));
    StepPlan close;
    close.id = ++plans;
    for (int i = 0; i < rows; ++i) close.ends.push_back({{close.id - 1}, static_cast<uint32_t>(i)});
    TW_RETURN_IF_ERROR(executor.Submit(std::move(close)));
    TW_RETURN_IF_ERROR(executor.Collect().status());
  }
  return OkStatus();
}

}  // namespace tokenworks::model::cpu
