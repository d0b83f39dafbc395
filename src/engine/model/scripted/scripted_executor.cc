// SPDX-License-Identifier: Apache-2.0
#include "engine/model/scripted/scripted_executor.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "engine/model/step_plan_check.h"
#include "platform/base/check.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model::scripted {
namespace {

using base::StrCat;

Status OneWriterPerSlot(const StepPlan& plan) {
  std::set<std::pair<BlockId, int>> written;
  for (const StepItem& item : plan.items)
    for (size_t i = 0; i < item.tokens.size(); ++i) {
      const int p = item.first_position + static_cast<int>(i);
      if (!written.emplace(item.blocks[p / kBlockTokens], p % kBlockTokens).second)
        return absl::InvalidArgumentError(StrCat("step plan ", plan.id, ": two rows write position ", p % kBlockTokens,
                                                 " of block ", item.blocks[p / kBlockTokens]));
    }
  return OkStatus();
}

}  // namespace

Script FromLists(std::map<SequenceId, std::vector<TokenId>> tokens, TokenId after) {
  return [tokens = std::move(tokens), after](SequenceId sequence, int position) {
    const auto it = tokens.find(sequence);
    if (it == tokens.end() || position >= static_cast<int>(it->second.size())) return after;
    return it->second[position];
  };
}

StepTime PerRow(Duration step, Duration row) {
  return [=](const StepPlan& plan) {
    Duration total = step;
    for (const StepItem& item : plan.items) total += row * static_cast<int64_t>(item.tokens.size());
    return total;
  };
}

StatusOr<std::unique_ptr<ScriptedExecutor>> ScriptedExecutor::Create(ScriptedOptions o) {
  if (!o.script || !o.step_time)
    return absl::InvalidArgumentError("a scripted executor needs a script and a step time");
  if (o.layers < 1 || o.layers > 1024 || o.layer_group_layers < 1 || o.kv_blocks < 1 || o.depth < 1 ||
      o.context_length < 1 || o.vocabulary < 1)
    return absl::InvalidArgumentError(
        "a scripted executor needs 1 to 1024 layers, and blocks, depth, context and vocabulary of at least 1");
  if (o.poison_token < 0 || o.poison_token >= o.vocabulary)
    return absl::InvalidArgumentError(StrCat("poison token ", o.poison_token, " is outside the vocabulary"));
  return std::unique_ptr<ScriptedExecutor>(new ScriptedExecutor(std::move(o)));
}

ScriptedExecutor::ScriptedExecutor(ScriptedOptions options) : options_(std::move(options)) {
  info_.model_name = options_.model_name;
  info_.weight_digest = "scripted";
  info_.numerics_id = "scripted-1";
  info_.device = "scripted";
  info_.vocabulary = options_.vocabulary;
  info_.context_length = options_.context_length;
  info_.end_tokens = options_.end_tokens;
  info_.kv_layout = MarkLayout(options_.layers);
  info_.kv_blocks = options_.kv_blocks;
  info_.layer_group_layers = std::min(options_.layer_group_layers, options_.layers);
  info_.layer_groups = (options_.layers + info_.layer_group_layers - 1) / info_.layer_group_layers;
  info_.depth = options_.depth;
  pool_.resize(info_.kv_layout.block_bytes * info_.kv_blocks, std::byte{0xEE});
}

KvMark ScriptedExecutor::Load(BlockId block, int layer, int slot) const {
  KvMark mark;
  std::memcpy(&mark, pool_.data() + info_.kv_layout.block_bytes * block + kLayerBytes * layer + sizeof mark * slot,
              sizeof mark);
  return mark;
}

void ScriptedExecutor::Store(BlockId block, int layer, int slot, const KvMark& mark) {
  std::memcpy(pool_.data() + info_.kv_layout.block_bytes * block + kLayerBytes * layer + sizeof mark * slot, &mark,
              sizeof mark);
}

Status ScriptedExecutor::Submit(StepPlan plan) {
  if (static_cast<int>(submitted_.size()) >= info_.depth)
    return absl::InvalidArgumentError(
        StrCat("step plan ", plan.id, ": ", submitted_.size(), " plans are submitted already, the depth"));
  const auto is_open = [&](SequenceId id) {
    bool open = open_.contains(id);
    for (const StepPlan& earlier : submitted_) {
      if (std::find(earlier.ends.begin(), earlier.ends.end(), id) != earlier.ends.end()) open = false;
      for (const SequenceStart& s : earlier.starts) open = open || s.sequence == id;
    }
    return open;
  };
  TW_RETURN_IF_ERROR(CheckStepPlan(plan, info_, is_open));
  TW_RETURN_IF_ERROR(OneWriterPerSlot(plan));
  submitted_.push_back(std::move(plan));
  return OkStatus();
}

// As a real layer would: what is written depends on what the pool holds for the position before.
void ScriptedExecutor::ComputeLayer(const StepItem& item, int layer) {
  const auto at = [&](int position) { return item.blocks[position / kBlockTokens]; };
  PrefixHash prefix = kEmptyPrefix;
  if (const int before = item.first_position - 1; before >= 0)
    prefix = Load(at(before), layer, before % kBlockTokens).prefix;
  for (size_t i = 0; i < item.tokens.size(); ++i) {
    const int position = item.first_position + static_cast<int>(i);
    prefix = Extend(prefix, item.tokens[i]);
    Store(at(position), layer, position % kBlockTokens, MakeMark(layer, position, item.tokens[i], prefix));
  }
}

std::string ScriptedExecutor::Disagreement(const StepItem& item, const History& history) const {
  const int end = item.first_position + static_cast<int>(item.tokens.size());
  if (history.prompt_known && static_cast<int>(history.tokens.size()) != end)
    return StrCat("the row stands at position ", end - 1, ", but prompt and output have ", history.tokens.size(),
                  " tokens");
  for (int layer = 0; layer < options_.layers; ++layer) {
    PrefixHash prefix = kEmptyPrefix;
    for (int p = 0; p < end; ++p) {
      const BlockId block = item.blocks[p / kBlockTokens];
      const KvMark mark = Load(block, layer, p % kBlockTokens);
      const TokenId token = history.prompt_known ? history.tokens[p] : mark.token;
      prefix = Extend(prefix, token);
      if (mark != MakeMark(layer, p, token, prefix))
        return StrCat("layer ", layer, " of position ", p, " in block ", block, " is not of this sequence's tokens");
    }
  }
  return {};
}

SampledToken ScriptedExecutor::Answer(const StepItem& item, SequenceId sequence) {
  History& history = open_.at(sequence);
  SampledToken out;
  out.token = options_.script(sequence, history.outputs);
  if (const std::string wrong = Disagreement(item, history); !wrong.empty()) {
    violations_.push_back(StrCat("sequence ", sequence.request.value, "/", sequence.index, ": ", wrong));
    out.token = options_.poison_token;
  }
  ++history.outputs;
  history.tokens.push_back(out.token);
  if (history.params.logprobs < 0) return out;
  out.logprob = -0.5f;
  for (int i = 0; i < std::min(history.params.logprobs, options_.vocabulary); ++i)
    out.top.push_back(
        {static_cast<TokenId>((int64_t{out.token} + i) % options_.vocabulary), -0.5f - static_cast<float>(i)});
  return out;
}

StatusOr<StepResult> ScriptedExecutor::Collect() {
  if (submitted_.empty()) return absl::FailedPreconditionError("no plan is submitted");
  StepPlan plan = std::move(submitted_.front());
  submitted_.pop_front();
  for (StepItem& item : plan.items)
    if (item.tokens[0] == kPendingToken) item.tokens[0] = open_.at(item.samples[0]).tokens.back();
  for (const SequenceId& id : plan.ends) open_.erase(id);
  for (const SequenceStart& s : plan.starts) {
    History history{s.sampling, s.prompt, !s.prompt.empty(), static_cast<int>(s.emitted.size())};
    history.tokens.insert(history.tokens.end(), s.emitted.begin(), s.emitted.end());
    open_[s.sequence] = std::move(history);
  }
  const uint64_t bytes = info_.kv_layout.block_bytes;
  for (const BlockCopy& c : plan.copies)
    std::memmove(pool_.data() + bytes * c.destination, pool_.data() + bytes * c.source, bytes);
  for (int layer = 0; layer < options_.layers && !plan.items.empty(); ++layer) {
    for (const StepItem& item : plan.items) ComputeLayer(item, layer);
    const bool group_done = (layer + 1) % info_.layer_group_layers == 0 || layer + 1 == options_.layers;
    if (plan.report_layer_groups && listener_ && group_done) listener_(plan.id, layer / info_.layer_group_layers);
  }
  StepResult result{plan.id, {}, options_.step_time(plan)};
  for (const StepItem& item : plan.items)
    for (const SequenceId& id : item.samples) result.samples.push_back({id, {Answer(item, id)}});
  return result;
}

void ScriptedExecutor::CheckCopy(std::span<const BlockId> blocks, int first_layer, int layers, size_t bytes) const {
  TW_CHECK(first_layer >= 0 && layers > 0 && first_layer + layers <= options_.layers, "copy of a layer that is not");
  for (const BlockId block : blocks) TW_CHECK(block >= 0 && block < info_.kv_blocks, "copy of a block that is not");
  TW_CHECK(bytes == kLayerBytes * layers * blocks.size(), "copy between a message of another size");
}

Status ScriptedExecutor::CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                                       std::span<std::byte> out) const {
  CheckCopy(blocks, first_layer, layers, out.size());
  const size_t run = kLayerBytes * layers, offset = kLayerBytes * first_layer;
  for (size_t i = 0; i < blocks.size(); ++i)
    std::memcpy(out.data() + i * run, pool_.data() + info_.kv_layout.block_bytes * blocks[i] + offset, run);
  return OkStatus();
}

Status ScriptedExecutor::CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                                      std::span<const std::byte> in) {
  CheckCopy(blocks, first_layer, layers, in.size());
  const size_t run = kLayerBytes * layers, offset = kLayerBytes * first_layer;
  for (size_t i = 0; i < blocks.size(); ++i)
    std::memcpy(pool_.data() + info_.kv_layout.block_bytes * blocks[i] + offset, in.data() + i * run, run);
  return OkStatus();
}

}  // namespace tokenworks::model::scripted
