// SPDX-License-Identifier: Apache-2.0
// The executor on a GPU, or on the device that is the host (tests). Two steps may be in flight: the token that one
// draws feeds the next on the device, the host reads it when the next runs already.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "engine/model/cuda/block_transfer.h"
#include "engine/model/cuda/forward.h"
#include "engine/model/cuda/sampling_rows.h"
#include "engine/model/cuda/step_slot.h"
#include "tokenworks/executor.h"

namespace tokenworks::model::cuda {

struct CudaExecutorOptions {
  std::string model_path;
  std::string model_name;  // what it answers to; empty = the file's general.name
  uint64_t kv_bytes = 0;   // 0 = nine tenths of what weights and workspace leave
  int context_length = 0;  // 0 = the model's
  int layer_group_layers = 4;
  StepLimits limits;
};

class CudaExecutor final : public Executor {
 public:
  // NotFound, InvalidArgument, Unimplemented for the file and its shape; NotFound or FailedPrecondition for the
  // device's matrix library and ResourceExhausted when its memory is too little, before anything is loaded and with the
  // sum. Products are tuned and graphs captured before it returns.
  static StatusOr<std::unique_ptr<CudaExecutor>> Create(CudaExecutorOptions options,
                                                        std::unique_ptr<device::Device> device);
  ~CudaExecutor() override;

  const ExecutorInfo& info() const override { return info_; }
  void SetLayerGroupListener(LayerGroupListener listener) override { listener_ = std::move(listener); }
  // Besides the contract: at most limits.rows rows, limits.samples items and samples. A sequence whose penalties look
  // at a pending token waits here for the step that draws it.
  Status Submit(StepPlan plan) override;
  StatusOr<StepResult> Collect() override;
  Status CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                       std::span<std::byte> out) const override;
  Status CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                      std::span<const std::byte> in) override;
  void Pin(std::span<std::byte> memory) override;
  void Unpin(std::span<std::byte> memory) override;

  const ModelConfig& config() const { return config_; }
  // Row `sample` of the last collected plan's logits [vocabulary], with its edits applied (tests).
  Status ReadLogits(int sample, std::span<float> out) const;

 private:
  static constexpr int kDepth = 2;

  explicit CudaExecutor(std::unique_ptr<device::Device> device) : device_(std::move(device)) {}
  Status Prepare(CudaExecutorOptions options);
  Status CaptureGraphs();
  Status Check(const StepPlan& plan) const;
  Status CheckLimits(const StepPlan& plan) const;
  // Every pending token of the plan is one that the plan before draws.
  Status CheckPending(const StepPlan& plan) const;
  Status LearnForPenalties(const StepPlan& plan);
  Status Learn(StepSlot& slot);

  Status Enqueue(const StepPlan& plan, StepSlot& slot);
  Status EnqueueForward(const StepPlan& plan, const StepShape& shape, StepSlot& slot);
  Status EnqueueSampling(const StepShape& shape, StepSlot& slot);
  Status UploadEdits(const std::vector<kernels::LogitEdit>& edits, StepSlot& slot);
  std::byte* BlockAt(BlockId block) const;

  std::unique_ptr<device::Device> device_;  // outlives all that lies on it
  device::Stream stream_;
  ModelConfig config_;
  ExecutorInfo info_;
  StepLimits limits_;
  DeviceWeights weights_;
  device::Buffer<Bf16> pool_;
  std::unique_ptr<BlockTransfer> transfer_;
  std::unique_ptr<Forward> forward_;
  device::Buffer<std::byte> inputs_, sampler_scratch_;
  device::Buffer<kernels::LogitEdit> edits_;
  device::Buffer<float> edited_, logprob_, top_logprob_;
  device::Buffer<int32_t> top_token_;
  std::map<StepShape, device::Graph> graphs_;  // steps of decode rows alone
  std::unique_ptr<SamplingRows> sampling_;
  std::array<StepSlot, kDepth> slots_;
  int oldest_ = 0, in_flight_ = 0;
  std::unordered_map<SequenceId, int> drawn_before_;  // sample of the last plan that drew
  LayerGroupListener listener_;
  mutable std::atomic<bool> copy_failed_ = false;
  bool pin_refused_ = false;  // and said so
};

}  // namespace tokenworks::model::cuda
