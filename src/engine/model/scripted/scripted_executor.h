// SPDX-License-Identifier: Apache-2.0
// An executor that answers what it is told, takes the time it is told, and checks every KV block that it reads.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/scripted/kv_marks.h"
#include "tokenworks/executor.h"

namespace tokenworks::model::scripted {

// The token that a sequence answers at an output position (0 = its first generated token, emitted ones counted).
using Script = std::function<TokenId(SequenceId sequence, int position)>;
// What a step reports as its duration; nothing waits.
using StepTime = std::function<Duration(const StepPlan& plan)>;

// Answers tokens[position], and `after` when the list is at its end or has no such sequence.
Script FromLists(std::map<SequenceId, std::vector<TokenId>> tokens, TokenId after);
// A fixed time for the step and one for each of its rows.
StepTime PerRow(Duration step, Duration row);

struct ScriptedOptions {
  Script script;
  StepTime step_time = PerRow(std::chrono::milliseconds(2), std::chrono::microseconds(100));
  TokenId poison_token = 0;  // the answer when a block that the step reads is not what it must be
  std::string model_name = "scripted";
  int vocabulary = 1000;
  int context_length = 4096;
  std::vector<TokenId> end_tokens;
  int layers = 4;
  int layer_group_layers = 2;
  int kv_blocks = 256;
  int depth = 1;
};

// Thread: one thread at a time for all calls, except the copies, as tokenworks/executor.h says. Starts none itself.
// Deterministic: equal options and calls give equal answers and equal KV bytes.
class ScriptedExecutor final : public Executor {
 public:
  // InvalidArgument for options that cannot be (no script, no layers, a poison token outside the vocabulary ...).
  static StatusOr<std::unique_ptr<ScriptedExecutor>> Create(ScriptedOptions options);

  const ExecutorInfo& info() const override { return info_; }
  void SetLayerGroupListener(LayerGroupListener listener) override { listener_ = std::move(listener); }
  // Also refuses two rows that write one position of one block.
  Status Submit(StepPlan plan) override;
  StatusOr<StepResult> Collect() override;
  Status CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                       std::span<std::byte> out) const override;
  Status CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                      std::span<const std::byte> in) override;

  // One sentence for each poisoned answer, oldest first.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  void CheckCopy(std::span<const BlockId> blocks, int first_layer, int layers, size_t bytes) const;
  struct History {
    SamplingParams params;
    std::vector<TokenId> tokens;  // prompt, emitted, answered: what positions 0 .. must hold; no prompt = unknown
    bool prompt_known = false;
    int outputs = 0;
  };

  explicit ScriptedExecutor(ScriptedOptions options);
  KvMark Load(BlockId block, int layer, int slot) const;
  void Store(BlockId block, int layer, int slot, const KvMark& mark);
  void ComputeLayer(const StepItem& item, int layer);
  // Empty, or which position of which layer is not what `history` and the marks before it demand.
  std::string Disagreement(const StepItem& item, const History& history) const;
  SampledToken Answer(const StepItem& item, SequenceId sequence);

  const ScriptedOptions options_;
  ExecutorInfo info_;
  std::vector<std::byte> pool_;
  LayerGroupListener listener_;
  std::deque<StepPlan> submitted_;
  std::map<SequenceId, History> open_;
  std::vector<std::string> violations_;
};

}  // namespace tokenworks::model::scripted
