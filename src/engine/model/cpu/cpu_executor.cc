// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cpu/cpu_executor.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "engine/model/step_plan_check.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model::cpu {
namespace {

using base::StrCat;

constexpr uint64_t kDefaultKvBytes = uint64_t{1} << 30;

uint64_t PhysicalBytes() { return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE); }

}  // namespace

uint64_t DefaultKvBytes() { return std::min(kDefaultKvBytes, PhysicalBytes() / 8); }

StatusOr<std::unique_ptr<CpuExecutor>> CpuExecutor::Create(CpuExecutorOptions options) {
  const kernels::KernelSet* kernels = kernels::SelectKernels(options.kernels);
  if (kernels == nullptr)
    return absl::InvalidArgumentError(
        StrCat("kernels '", options.kernels,
               "' (or TOKENWORKS_KERNELS): unknown, or this CPU cannot run them; use scalar, avx2 or avx512vnni"));
  std::unique_ptr<CpuExecutor> e(new CpuExecutor);
  TW_ASSIGN_OR_RETURN(e->file_, model_files::GgufFile::Open(options.model_path));
  TW_ASSIGN_OR_RETURN(e->config_, ReadModelConfig(*e->file_));
  if (options.context_length > 0)
    e->config_.context_length = std::min(e->config_.context_length, options.context_length);
  TW_ASSIGN_OR_RETURN(e->weights_, LoadWeights(*e->file_, e->config_, options.reference));
  ExecutorInfo& info = e->info_;
  info.model_name = options.model_name.empty() ? e->config_.name : options.model_name;
  info.weight_digest = e->file_->Digest();
  info.numerics_id = StrCat(kernels::kNumericsContract, options.reference ? "/f32" : "/f16kv");
  info.vocabulary = e->config_.vocabulary;
  info.context_length = e->config_.context_length;
  info.end_tokens = e->config_.end_tokens;
  info.kv_layout = AttentionKvLayout(e->config_.layers, e->config_.kv_heads, e->config_.head_dim,
                                     options.reference ? KvDtype::kF32 : KvDtype::kF16, kernels::kInnerOrder);
  info.layer_group_layers = std::clamp(options.layer_group_layers, 1, e->config_.layers);
  info.layer_groups = (e->config_.layers + info.layer_group_layers - 1) / info.layer_group_layers;
  TW_RETURN_IF_ERROR(e->AllocatePool(options.kv_bytes == 0 ? DefaultKvBytes() : options.kv_bytes));
  e->team_ = std::make_unique<ThreadTeam>(std::max(1, options.threads));
  e->sampler_ = std::make_unique<sampling::Sampler>(*kernels, info.end_tokens);
  e->forward_ = std::make_unique<Forward>(e->config_, e->weights_, info.kv_layout, e->pool_, *kernels, *e->team_,
                                          options.reference);
  return e;
}

Status CpuExecutor::AllocatePool(uint64_t kv_bytes) {
  const uint64_t block = info_.kv_layout.block_bytes;
  info_.kv_blocks = static_cast<int>(std::min<uint64_t>(kv_bytes / block, 1 << 24));
  if (info_.kv_blocks < 2)
    return absl::InvalidArgumentError(
        StrCat("KV memory of ", kv_bytes, " bytes holds fewer than two blocks of ", block, " bytes; raise kv_memory"));
  pool_bytes_ = block * info_.kv_blocks;
  if (weights_.bytes + pool_bytes_ > PhysicalBytes())
    return absl::ResourceExhaustedError(StrCat("weights ", weights_.bytes >> 20, " MiB + KV ", pool_bytes_ >> 20,
                                               " MiB exceed the machine's ", PhysicalBytes() >> 20,
                                               " MiB; lower kv_memory or take a smaller model"));
  void* memory = mmap(nullptr, pool_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return absl::ResourceExhaustedError(
        StrCat("reserving ", pool_bytes_ >> 20, " MiB for the KV pool: ", std::strerror(errno)));
  pool_ = static_cast<std::byte*>(memory);
  madvise(pool_, pool_bytes_, MADV_HUGEPAGE);
  return OkStatus();
}

CpuExecutor::~CpuExecutor() {
  forward_.reset();
  team_.reset();
  if (pool_ != nullptr) munmap(pool_, pool_bytes_);
}

Status CpuExecutor::Submit(StepPlan plan) {
  if (plan_.has_value()) return absl::InvalidArgumentError("a plan is already submitted; the CPU executor has depth 1");
  const Status sound = CheckStepPlan(plan, info_, [&](SequenceId id) { return sampler_->IsOpen(id); });
  if (!sound.ok()) {
    for (const SequenceId& sequence : plan.ends) sampler_->Close(sequence);  // nobody says it again
    return sound;
  }
  plan_ = std::move(plan);
  return OkStatus();
}

StatusOr<StepResult> CpuExecutor::Collect() {
  if (!plan_.has_value()) return absl::FailedPreconditionError("no plan is submitted");
  const auto begin = std::chrono::steady_clock::now();
  const StepPlan plan = std::move(*plan_);
  plan_.reset();
  for (const SequenceId& sequence : plan.ends) sampler_->Close(sequence);
  for (const SequenceStart& start : plan.starts) sampler_->Open(start);
  for (const BlockCopy& c : plan.copies)
    std::memcpy(pool_ + info_.kv_layout.block_bytes * c.destination, pool_ + info_.kv_layout.block_bytes * c.source,
                info_.kv_layout.block_bytes);
  rows_.clear();
  for (const StepItem& item : plan.items)
    for (size_t i = 0; i < item.tokens.size(); ++i)
      rows_.push_back({item.tokens[i], item.first_position + static_cast<int>(i), item.blocks.data(),
                       !item.samples.empty() && i + 1 == item.tokens.size()});
  if (!rows_.empty()) {
    forward_->Run(rows_, [&](int layer) {
      if (plan.report_layer_groups && listener_ &&
          ((layer + 1) % info_.layer_group_layers == 0 || layer + 1 == config_.layers))
        listener_(plan.id, layer / info_.layer_group_layers);
    });
  }
  StepResult result;
  result.plan = plan.id;
  int wanted = 0;
  for (const StepItem& item : plan.items) {
    if (item.samples.empty()) continue;
    const std::span<const float> logits(forward_->logits(wanted++), config_.vocabulary);
    for (const SequenceId& sequence : item.samples)
      result.samples.push_back({sequence, {sampler_->Sample(sequence, logits)}});
  }
  result.duration = std::chrono::steady_clock::now() - begin;
  return result;
}

Status CpuExecutor::CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                                  std::span<std::byte> out) const {
  const KvLayout& layout = info_.kv_layout;
  const uint64_t run = layout.layers[first_layer].bytes * layers, offset = layout.layers[first_layer].offset;
  for (size_t i = 0; i < blocks.size(); ++i)
    std::memcpy(out.data() + i * run, pool_ + layout.block_bytes * blocks[i] + offset, run);
  return OkStatus();
}

Status CpuExecutor::CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                                 std::span<const std::byte> in) {
  const KvLayout& layout = info_.kv_layout;
  const uint64_t run = layout.layers[first_layer].bytes * layers, offset = layout.layers[first_layer].offset;
  for (size_t i = 0; i < blocks.size(); ++i)
    std::memcpy(pool_ + layout.block_bytes * blocks[i] + offset, in.data() + i * run, run);
  return OkStatus();
}

}  // namespace tokenworks::model::cpu
