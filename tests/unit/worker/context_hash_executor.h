// SPDX-License-Identifier: Apache-2.0
// An executor without a model: the next token is a hash of everything in the sequence's
// KV blocks, so a block that is wrong, stale or missing anywhere changes the answer, and Expected() says what is right.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "tokenworks/executor.h"

namespace tokenworks::worker {

struct ContextHashOptions {
  int kv_blocks = 64;
  int context_length = 1024;
  int layers = 4;
  int layer_group_layers = 2;
  int vocabulary = 1000;
  std::vector<TokenId> end_tokens = {0};
  int depth = 1;
  std::string weight_digest = "context-hash";
  std::function<Duration(int rows)> step_time = [](int rows) { return std::chrono::microseconds(100 * rows); };
};

// Not thread-safe. A step is computed inside Collect, layer group by layer group.
class ContextHashExecutor final : public Executor {
 public:
  explicit ContextHashExecutor(ContextHashOptions options);

  const ExecutorInfo& info() const override { return info_; }
  void SetLayerGroupListener(LayerGroupListener listener) override { listener_ = std::move(listener); }
  // InvalidArgument: more plans than `depth`, a block outside the pool, a table that is too short, a sample of a
  // sequence that was not opened, rows that continue nothing.
  Status Submit(StepPlan plan) override;
  StatusOr<StepResult> Collect() override;
  Status CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                       std::span<std::byte> out) const override;
  Status CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                      std::span<const std::byte> in) override;

  void Pin(std::span<std::byte> memory) override {
    if (!memory.empty()) pinned_[memory.data()] = memory.size();
  }
  void Unpin(std::span<std::byte> memory) override { pinned_.erase(memory.data()); }
  const std::map<const std::byte*, size_t>& pinned() const { return pinned_; }

  // After so many copies every one of them fails, as on a device that is lost.
  void FailCopiesAfter(int copies) { copies_left_ = copies; }
  // The next Collect fails with this.
  void FailNext(Status status) { fail_next_ = std::move(status); }

  // The tokens that this executor answers to `prompt`, until `sampling` or an end token ends them.
  static std::vector<TokenId> Expected(const ContextHashOptions& options, const std::vector<TokenId>& prompt,
                                       const SamplingParams& sampling, uint32_t sequence);

 private:
  uint64_t& Value(BlockId block, int layer, int slot) {
    return memory_[(static_cast<size_t>(block) * static_cast<size_t>(options_.layers) + static_cast<size_t>(layer)) *
                       kBlockTokens +
                   static_cast<size_t>(slot)];
  }
  Status Check(const StepPlan& plan) const;
  SampledToken Sample(const StepItem& item, const SequenceId& sequence);

  const ContextHashOptions options_;
  ExecutorInfo info_;
  LayerGroupListener listener_;
  std::vector<uint64_t> memory_;  // [block][layer][slot]: a hash of (layer, position, token)
  std::deque<StepPlan> submitted_;
  struct Open {
    SamplingParams sampling;
    int outputs = 0;
    TokenId drawn = 0;  // last
  };
  std::map<SequenceId, Open> open_;
  Status fail_next_;
  std::map<const std::byte*, size_t> pinned_;
  mutable int copies_left_ = -1;  // -1: all work
};

}  // namespace tokenworks::worker
