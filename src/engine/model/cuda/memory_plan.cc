// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/memory_plan.h"

#include <algorithm>

#include "engine/model/cuda/block_transfer.h"
#include "engine/model/cuda/step_shape.h"
#include "kernels/sampling/sample.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model::cuda {
namespace {

using base::StrCat;

// 527 MiB of it measured on an H200.
constexpr uint64_t kContextBytes = uint64_t{768} << 20;
constexpr int kMaxVocabulary = 262144;

uint64_t WeightBytes(const ModelConfig& c) {
  const uint64_t e = c.embedding, q = c.query_heads * c.head_dim, kv = c.kv_heads * c.head_dim, f = c.feed_forward;
  const uint64_t layer = 2 * ((q + 2 * kv) * e + q * e + 3 * f * e) + 2 * 4 * e;
  return layer * c.layers + 2 * e * LogitsStride(c.vocabulary) * (c.tied_embedding ? 1 : 2) + 4 * e;
}

}  // namespace

Status CheckShape(const ModelConfig& c) {
  if (c.head_dim != 64 && c.head_dim != 128)
    return absl::UnimplementedError(
        StrCat("heads of ", c.head_dim, " dimensions: device: cuda has kernels for 64 and 128; use device: cpu"));
  if (c.query_heads / c.kv_heads > 8)
    return absl::UnimplementedError(StrCat(c.query_heads, " query heads over ", c.kv_heads,
                                           " KV heads: device: cuda groups at most 8; use device: cpu"));
  if (c.vocabulary > kMaxVocabulary)
    return absl::UnimplementedError(StrCat("a vocabulary of ", c.vocabulary, ": device: cuda samples from at most ",
                                           kMaxVocabulary, "; use device: cpu"));
  return OkStatus();
}

void LimitContext(ModelConfig& config, int asked) {
  if (asked > 0) config.context_length = std::min(config.context_length, asked);
}

uint64_t WorkspaceBytes(const ModelConfig& c, const StepLimits& limits, int multiprocessors) {
  const uint64_t e = c.embedding, q = c.query_heads * c.head_dim, kv = c.kv_heads * c.head_dim, f = c.feed_forward;
  const uint64_t row = 2 * (3 * e + (q + 2 * kv) + 2 * q + 3 * f);
  return row * limits.rows +
         (2 * 2 * e + 4 * LogitsStride(c.vocabulary)) * static_cast<uint64_t>(RowBucket(limits.samples)) +
         4 * MaxPartialFloats(c, limits, multiprocessors) + InputBytes(c, limits) +
         std::max<uint64_t>(kMessageBytes, MakeKvLayout(c).block_bytes) +
         kernels::SampleScratchBytes(RowBucket(limits.samples), c.vocabulary);
}

uint64_t ContextBytes(const device::DeviceInfo& device) { return device.compute_capability == 0 ? 0 : kContextBytes; }

KvLayout MakeKvLayout(const ModelConfig& config) {
  return AttentionKvLayout(config.layers, config.kv_heads, config.head_dim, KvDtype::kBf16, "plane-head-token-dim");
}

StatusOr<MemoryPlan> PlanMemory(const ModelConfig& config, const StepLimits& limits, uint64_t kv_bytes,
                                const device::DeviceInfo& device) {
  TW_RETURN_IF_ERROR(CheckShape(config));
  const uint64_t block = MakeKvLayout(config).block_bytes;
  MemoryPlan plan;
  plan.weights = WeightBytes(config);
  plan.workspace = WorkspaceBytes(config, limits, device.multiprocessors);
  const uint64_t context = ContextBytes(device), free = device.free_bytes;
  const uint64_t others = plan.weights + plan.workspace + context;
  plan.kv = kv_bytes > 0 ? kv_bytes : free > others ? (free - others) / 10 * 9 : 0;
  plan.kv_blocks = static_cast<int>(std::min<uint64_t>(plan.kv / block, 1 << 24));
  plan.kv = block * plan.kv_blocks;
  if (plan.kv_blocks < 2 && kv_bytes > 0)
    return absl::InvalidArgumentError(
        StrCat("KV memory of ", kv_bytes, " bytes holds fewer than two blocks of ", block, " bytes; raise kv_memory"));
  if (plan.kv_blocks < 2 || others + plan.kv > free)
    return absl::ResourceExhaustedError(
        StrCat("weights ", plan.weights >> 20, " MiB + workspace ", plan.workspace >> 20, " MiB + context ",
               context >> 20, " MiB + KV ", std::max(plan.kv, 2 * block) >> 20, " MiB exceed the ", free >> 20,
               " MiB that are free of the ", device.memory_bytes >> 20, " MiB on ", device.name,
               "; lower kv_memory, take a smaller model, or use device: cpu"));
  return plan;
}

}  // namespace tokenworks::model::cuda
