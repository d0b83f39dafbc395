// SPDX-License-Identifier: Apache-2.0
// How a CudaExecutor comes to be: memory summed up, weights loaded, products tuned, graphs captured.
#include <algorithm>
#include <cstdio>

#include "engine/model/cuda/cuda_executor.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model::cuda {

using device::Buffer;

StatusOr<std::unique_ptr<CudaExecutor>> CudaExecutor::Create(CudaExecutorOptions options,
                                                             std::unique_ptr<device::Device> device) {
  std::unique_ptr<CudaExecutor> e(new CudaExecutor(std::move(device)));
  TW_RETURN_IF_ERROR(e->Prepare(std::move(options)));
  return e;
}

CudaExecutor::~CudaExecutor() {
  device_->Use();
  (void)device_->Synchronize(stream_);
  for (const auto& [shape, graph] : graphs_) device_->Destroy(graph);
  device_->Destroy(stream_);
}

Status CudaExecutor::Prepare(CudaExecutorOptions options) {
  TW_ASSIGN_OR_RETURN(stream_, device_->CreateStream());
  TW_RETURN_IF_ERROR(device_->info().matrix_library_status);
  TW_ASSIGN_OR_RETURN(const std::unique_ptr<model_files::GgufFile> file,
                      model_files::GgufFile::Open(options.model_path));
  TW_ASSIGN_OR_RETURN(config_, ReadModelConfig(*file));
  LimitContext(config_, options.context_length);
  limits_ = {RowBucket(options.limits.rows), options.limits.samples};
  TW_ASSIGN_OR_RETURN(const MemoryPlan memory, PlanMemory(config_, limits_, options.kv_bytes, device_->info()));

  info_.model_name = options.model_name.empty() ? config_.name : options.model_name;
  info_.weight_digest = file->Digest();
  info_.numerics_id = "cuda-bf16-1";
  info_.device = "cuda";  // which one, the loader knows
  info_.vocabulary = config_.vocabulary;
  info_.context_length = config_.context_length;
  info_.end_tokens = config_.end_tokens;
  info_.kv_layout = MakeKvLayout(config_);
  info_.kv_blocks = memory.kv_blocks;
  info_.layer_group_layers = std::clamp(options.layer_group_layers, 1, config_.layers);
  info_.layer_groups = (config_.layers + info_.layer_group_layers - 1) / info_.layer_group_layers;
  info_.depth = kDepth;
  info_.row_quantum = kRowQuantum;

  TW_ASSIGN_OR_RETURN(weights_, LoadDeviceWeights(*file, config_, *device_, stream_));
  TW_ASSIGN_OR_RETURN(pool_, Buffer<Bf16>::Create(*device_, memory.kv / sizeof(Bf16)));
  TW_RETURN_IF_ERROR(device_->Fill(pool_.data(), 0, pool_.bytes(), stream_));
  TW_ASSIGN_OR_RETURN(transfer_,
                      BlockTransfer::Create(info_.kv_layout, reinterpret_cast<std::byte*>(pool_.data()), *device_));
  TW_ASSIGN_OR_RETURN(forward_, Forward::Create(config_, weights_, pool_.data(), limits_, *device_));
  const size_t input_bytes = InputBytes(config_, limits_), samples = RowBucket(limits_.samples);
  TW_ASSIGN_OR_RETURN(inputs_, Buffer<std::byte>::Create(*device_, input_bytes));
  TW_ASSIGN_OR_RETURN(
      sampler_scratch_,
      Buffer<std::byte>::Create(*device_, kernels::SampleScratchBytes(static_cast<int>(samples), config_.vocabulary)));
  TW_ASSIGN_OR_RETURN(logprob_, Buffer<float>::Create(*device_, samples));
  TW_ASSIGN_OR_RETURN(top_logprob_, Buffer<float>::Create(*device_, samples * kernels::kMaxTopTokens));
  TW_ASSIGN_OR_RETURN(top_token_, Buffer<int32_t>::Create(*device_, samples * kernels::kMaxTopTokens));
  for (StepSlot& slot : slots_) {
    TW_ASSIGN_OR_RETURN(slot, StepSlot::Create(*device_, input_bytes, static_cast<int>(samples), info_.layer_groups));
  }
  sampling_ = std::make_unique<SamplingRows>(config_.vocabulary, info_.end_tokens);
  TW_RETURN_IF_ERROR(CaptureGraphs());
  if (const Status kept = device_->SaveTuning(); !kept.ok())
    std::fprintf(stderr, "the next start tunes matrix products again: %s\n", std::string(kept.message()).c_str());
  return OkStatus();
}

// Decode steps are short: hundreds of launches would cost as much as the work. One graph for each number of rows and
// each length of block table.
Status CudaExecutor::CaptureGraphs() {
  const bool library = device_->info().compute_capability > 0;
  const int samples = RowBucket(limits_.samples);
  for (int rows = 4; library && rows <= limits_.rows; rows = RowBucket(rows + 1))
    TW_RETURN_IF_ERROR(forward_->Tune(rows, rows <= samples ? rows : 0, stream_));
  for (int rows = 1; rows <= std::min(samples, limits_.rows); rows = RowBucket(rows + 1))
    for (int blocks = 1, bucket; blocks * kBlockTokens <= config_.context_length + kBlockTokens - 1;
         blocks = bucket + 1) {
      bucket = BlockBucket(blocks, config_.context_length);
      const StepShape shape{.rows = rows, .decode_rows = rows, .samples = rows, .blocks = bucket, .each_samples = true};
      TW_ASSIGN_OR_RETURN(const device::Graph graph, device_->Capture(stream_, [this, shape] {
        return forward_->Enqueue(shape, inputs_.data(), stream_, nullptr);
      }));
      graphs_[shape] = graph;
    }
  return device_->Synchronize(stream_);
}

}  // namespace tokenworks::model::cuda
