// SPDX-License-Identifier: Apache-2.0
// The seam between the scheduler and a device: whole steps go in, sampled tokens come out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tokenworks/clock.h"
#include "tokenworks/ids.h"
#include "tokenworks/kv_layout.h"
#include "tokenworks/sampling_params.h"
#include "tokenworks/status.h"
#include "tokenworks/token_delta.h"

namespace tokenworks {

struct ExecutorInfo {
  std::string model_name;
  std::string weight_digest;  // hex; same weights, same digest
  std::string numerics_id;    // kernel family + contract version
  std::string device = "cpu";
  int vocabulary = 0;
  int context_length = 0;
  std::vector<TokenId> end_tokens;  // the model's own
  KvLayout kv_layout;
  int kv_blocks = 0;           // size of the pool that the executor has allocated
  int layer_group_layers = 1;  // layers per LayerGroupDone
  int layer_groups = 1;        // ceil(layers / layer_group_layers)
  int depth = 1;               // plans that may be submitted before the first is collected
  int row_quantum = 1;         // from twice as many rows on, a step takes as long as the next multiple of so many
};

// A sequence as the executor's sampler knows it, opened before its first sample and closed after its last.
struct SequenceStart {
  SequenceId sequence;
  SamplingParams sampling;
  std::vector<TokenId> prompt;   // for repetition_penalty
  std::vector<TokenId> emitted;  // counts as output: penalties, min_tokens, noise position
};

// Stands for the token that the item's sequence draws in the plan before: it need not be known yet. Only where
// ExecutorInfo::depth is more than 1, and alone in an item that samples one sequence.
inline constexpr TokenId kPendingToken = -1;

// Rows of one sequence in a step: tokens at absolute positions first_position .. + tokens.size().
// Decode is one token, a prefill chunk many. K and V of these positions are written into `blocks`
// (the sequence's block table from position 0), and attention reads positions <= its own from there.
struct StepItem {
  std::vector<TokenId> tokens;
  int first_position = 0;
  std::vector<BlockId> blocks;
  // Sequences that draw their next token from the last row's logits: none for an inner chunk,
  // one for decode, n at the end of a prompt with n > 1. Empty = no output head for this item.
  std::vector<SequenceId> samples;
  bool is_prefill = false;
};

// dst := src before the step (copy on write of a tail block, all layers).
struct BlockCopy {
  BlockId source = 0;
  BlockId destination = 0;
};

struct StepPlan {
  uint64_t id = 0;
  // Closed before anything else, also where the plan is then refused; their last sample was in an earlier plan.
  std::vector<SequenceId> ends;
  std::vector<SequenceStart> starts;
  std::vector<BlockCopy> copies;
  std::vector<StepItem> items;
  bool report_layer_groups = false;
};

struct StepSample {
  SequenceId sequence;
  std::vector<SampledToken> tokens;  // 1 .. k
};

struct StepResult {
  uint64_t plan = 0;
  std::vector<StepSample> samples;
  Duration duration{0};
};

// Thread: Submit and Collect belong to the worker's engine thread. Copies and pins may be called from the control
// thread, copies for blocks (and layers) that no submitted plan writes.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual const ExecutorInfo& info() const = 0;

  // Called on the engine thread after the layers of `group` are complete for all items of the plan
  // (only for plans with report_layer_groups). Set before the first Submit.
  using LayerGroupListener = std::function<void(uint64_t plan, int group)>;
  virtual void SetLayerGroupListener(LayerGroupListener listener) = 0;

  // Errors: InvalidArgument for a plan that breaks the contract (a bug in the caller): nothing of it is done but its
  // ends.
  virtual Status Submit(StepPlan plan) = 0;
  // Blocks until the oldest submitted plan is done. Errors: Internal, ResourceExhausted (device memory),
  // DataLoss (the device is gone).
  virtual StatusOr<StepResult> Collect() = 0;

  // Copies layers [first_layer, first_layer + layers) of the blocks: one contiguous run of each, one after the other.
  // Errors: the device's; `out` is then worth nothing, and the next Collect says DataLoss.
  virtual Status CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                               std::span<std::byte> out) const = 0;
  virtual Status CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                              std::span<const std::byte> in) = 0;
  // Host memory that blocks are copied to or from again and again: a device copies faster where it is pinned. Nobody
  // needs it; nothing is done for an empty span. Unpin before it is freed.
  virtual void Pin(std::span<std::byte>) {}
  virtual void Unpin(std::span<std::byte>) {}
};

}  // namespace tokenworks
