// SPDX-License-Identifier: Apache-2.0
// The executor of the CPU back end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/model/cpu/forward.h"
#include "engine/sampling/sampler.h"
#include "tokenworks/executor.h"

namespace tokenworks::model::cpu {

struct CpuExecutorOptions {
  std::string model_path;
  std::string model_name;  // what it answers to; empty = the file's general.name
  int threads = 1;
  uint64_t kv_bytes = 0;   // 0 = 1 GiB or an eighth of the machine, the smaller
  int context_length = 0;  // 0 = the model's
  std::string kernels;     // "", "scalar", "avx2", "avx512vnni"
  int layer_group_layers = 3;
  bool reference = false;  // F32 weights and KV: the oracle path
};

// Default size of a worker's KV pool on this machine.
uint64_t DefaultKvBytes();

class CpuExecutor final : public Executor {
 public:
  // NotFound, InvalidArgument, Unimplemented for the file; ResourceExhausted when memory is too little (the sum is in
  // the message).
  static StatusOr<std::unique_ptr<CpuExecutor>> Create(CpuExecutorOptions options);
  ~CpuExecutor() override;

  const ExecutorInfo& info() const override { return info_; }
  void SetLayerGroupListener(LayerGroupListener listener) override { listener_ = std::move(listener); }
  Status Submit(StepPlan plan) override;
  StatusOr<StepResult> Collect() override;
  Status CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                       std::span<std::byte> out) const override;
  Status CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                      std::span<const std::byte> in) override;

  const ModelConfig& config() const { return config_; }
  // Logits of the last collected plan's sampled rows, in item order (tests and benchmarks).
  const float* last_logits(int wanted) const { return forward_->logits(wanted); }

 private:
  CpuExecutor() = default;
  Status AllocatePool(uint64_t kv_bytes);

  std::unique_ptr<model_files::GgufFile> file_;
  ModelConfig config_;
  ExecutorInfo info_;
  Weights weights_;
  std::byte* pool_ = nullptr;
  size_t pool_bytes_ = 0;
  std::unique_ptr<ThreadTeam> team_;
  std::unique_ptr<sampling::Sampler> sampler_;
  std::unique_ptr<Forward> forward_;
  LayerGroupListener listener_;
  std::optional<StepPlan> plan_;
  std::vector<Row> rows_;
};

}  // namespace tokenworks::model::cpu
