// SPDX-License-Identifier: Apache-2.0
#include "context_hash_executor.h"

#include <algorithm>
#include <cstring>

#include "platform/base/str_cat.h"

namespace tokenworks::worker {
namespace {

// splitmix64: every input bit reaches every output bit.
uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

uint64_t ValueOf(int layer, int position, TokenId token) {
  return Mix(Mix(Mix(static_cast<uint64_t>(layer) + 1) ^ static_cast<uint64_t>(position)) ^
             static_cast<uint64_t>(static_cast<uint32_t>(token)));
}

// `attention`: the sum of all values of all layers up to the last position.
TokenId TokenFor(uint64_t attention, const SamplingParams& sampling, uint32_t sequence, int output,
                 const ContextHashOptions& options) {
  uint64_t x = Mix(attention);
  if (sampling.temperature > 0) x = Mix(x ^ Mix(sampling.seed ^ (static_cast<uint64_t>(sequence) << 32)));
  const TokenId token = static_cast<TokenId>(x % static_cast<uint64_t>(options.vocabulary));
  const bool ends = std::find(options.end_tokens.begin(), options.end_tokens.end(), token) != options.end_tokens.end();
  return ends && (sampling.ignore_eos || output < sampling.min_tokens) ? options.vocabulary - 1 : token;
}

KvLayout LayoutOf(const ContextHashOptions& options) {
  KvLayout layout;
  for (int l = 0; l < options.layers; ++l) {
    KvLayer layer;
    layer.planes = 1;
    layer.heads = 1;
    layer.dim = 2;
    layer.dtype = KvDtype::kF32;
    layer.bytes = kBlockTokens * sizeof(uint64_t);
    layer.offset = layout.block_bytes;
    layer.inner_order = "context-hash";
    layout.block_bytes += layer.bytes;
    layout.layers.push_back(layer);
  }
  return layout;
}

}  // namespace

ContextHashExecutor::ContextHashExecutor(ContextHashOptions options)
    : options_(std::move(options)),
      memory_(static_cast<size_t>(options_.kv_blocks) * static_cast<size_t>(options_.layers) * kBlockTokens) {
  info_.model_name = "context-hash";
  info_.weight_digest = options_.weight_digest;
  info_.numerics_id = "context-hash-1";
  info_.vocabulary = options_.vocabulary;
  info_.context_length = options_.context_length;
  info_.end_tokens = options_.end_tokens;
  info_.kv_layout = LayoutOf(options_);
  info_.kv_blocks = options_.kv_blocks;
  info_.layer_group_layers = options_.layer_group_layers;
  info_.layer_groups = (options_.layers + options_.layer_group_layers - 1) / options_.layer_group_layers;
  info_.depth = options_.depth;
}

Status ContextHashExecutor::Check(const StepPlan& plan) const {
  const auto bad = [&](const std::string& what) {
    return absl::InvalidArgumentError(base::StrCat("plan ", plan.id, ": ", what));
  };
  const auto in_pool = [&](BlockId b) { return b >= 0 && b < options_.kv_blocks; };
  if (static_cast<int>(submitted_.size()) >= options_.depth)
    return bad(base::StrCat("more plans than the depth of ", options_.depth));
  for (const BlockCopy& c : plan.copies)
    if (!in_pool(c.source) || !in_pool(c.destination)) return bad("a copy outside the pool");
  for (const StepItem& item : plan.items) {
    if (item.tokens.empty() || item.first_position < 0) return bad("an item without rows");
    const size_t end = static_cast<size_t>(item.first_position) + item.tokens.size();
    if (end > static_cast<size_t>(options_.context_length)) return bad("rows beyond the context");
    if (item.blocks.size() * kBlockTokens < end)
      return bad(base::StrCat("a table of ", item.blocks.size(), " blocks for ", end, " positions"));
    if (!std::all_of(item.blocks.begin(), item.blocks.end(), in_pool)) return bad("a block outside the pool");
    for (const SequenceId& s : item.samples) {
      const auto starts = [&](const StepPlan& p) {
        return std::any_of(p.starts.begin(), p.starts.end(),
                           [&](const SequenceStart& start) { return start.sequence == s; });
      };
      if (!starts(plan) && !open_.contains(s) && !std::any_of(submitted_.begin(), submitted_.end(), starts))
        return bad("a sample of a sequence that was not opened");
    }
  }
  return OkStatus();
}

Status ContextHashExecutor::Submit(StepPlan plan) {
  if (const Status status = Check(plan); !status.ok()) return status;
  submitted_.push_back(std::move(plan));
  return OkStatus();
}

SampledToken ContextHashExecutor::Sample(const StepItem& item, const SequenceId& sequence) {
  uint64_t attention = 0;
  const int end = item.first_position + static_cast<int>(item.tokens.size());
  for (int p = 0; p < end; ++p)
    for (int l = 0; l < options_.layers; ++l)
      attention += Value(item.blocks[static_cast<size_t>(p / kBlockTokens)], l, p % kBlockTokens);
  Open& open = open_.at(sequence);
  SampledToken out;
  out.token = TokenFor(attention, open.sampling, sequence.index, open.outputs++, options_);
  open.drawn = out.token;
  if (open.sampling.logprobs < 0) return out;
  out.logprob = -static_cast<float>(Mix(attention ^ 1) % 1000) / 100;
  for (int i = 0; i < open.sampling.logprobs; ++i) out.top.push_back({i, -static_cast<float>(i)});
  return out;
}

StatusOr<StepResult> ContextHashExecutor::Collect() {
  if (submitted_.empty()) return absl::InvalidArgumentError("Collect without a submitted plan");
  StepPlan plan = std::move(submitted_.front());
  submitted_.pop_front();
  for (const SequenceId& s : plan.ends) open_.erase(s);
  for (const SequenceStart& s : plan.starts) open_[s.sequence] = {s.sampling, static_cast<int>(s.emitted.size())};
  if (!fail_next_.ok()) return std::exchange(fail_next_, OkStatus());
  for (StepItem& item : plan.items)
    if (item.tokens[0] == kPendingToken) item.tokens[0] = open_.at(item.samples[0]).drawn;
  for (const BlockCopy& c : plan.copies)
    for (int l = 0; l < options_.layers; ++l)
      for (int slot = 0; slot < kBlockTokens; ++slot) Value(c.destination, l, slot) = Value(c.source, l, slot);
  StepResult result;
  result.plan = plan.id;
  int rows = 0;
  for (int group = 0; group < info_.layer_groups; ++group) {
    const int last = std::min(options_.layers, (group + 1) * options_.layer_group_layers);
    for (const StepItem& item : plan.items)
      for (size_t i = 0; i < item.tokens.size(); ++i) {
        const int p = item.first_position + static_cast<int>(i);
        for (int l = group * options_.layer_group_layers; l < last; ++l)
          Value(item.blocks[static_cast<size_t>(p / kBlockTokens)], l, p % kBlockTokens) =
              ValueOf(l, p, item.tokens[i]);
      }
    if (plan.report_layer_groups && listener_) listener_(plan.id, group);
  }
  for (const StepItem& item : plan.items) {
    rows += static_cast<int>(item.tokens.size());
    for (const SequenceId& s : item.samples) result.samples.push_back({s, {Sample(item, s)}});
  }
  result.duration = options_.step_time(rows);
  return result;
}

Status ContextHashExecutor::CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                                          std::span<std::byte> out) const {
  if (copies_left_ == 0) return absl::InternalError("the device is lost");
  copies_left_ -= copies_left_ > 0;
  const size_t run = static_cast<size_t>(layers) * kBlockTokens * sizeof(uint64_t);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const size_t first =
        (static_cast<size_t>(blocks[i]) * static_cast<size_t>(options_.layers) + static_cast<size_t>(first_layer)) *
        kBlockTokens;
    std::memcpy(out.data() + i * run, &memory_[first], run);
  }
  return OkStatus();
}

Status ContextHashExecutor::CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                                         std::span<const std::byte> in) {
  if (copies_left_ == 0) return absl::InternalError("the device is lost");
  copies_left_ -= copies_left_ > 0;
  const size_t run = static_cast<size_t>(layers) * kBlockTokens * sizeof(uint64_t);
  for (size_t i = 0; i < blocks.size(); ++i) std::memcpy(&Value(blocks[i], first_layer, 0), in.data() + i * run, run);
  return OkStatus();
}

std::vector<TokenId> ContextHashExecutor::Expected(const ContextHashOptions& options,
                                                   const std::vector<TokenId>& prompt, const SamplingParams& sampling,
                                                   uint32_t sequence) {
  uint64_t attention = 0;
  int position = 0;
  const auto add = [&](TokenId token) {
    for (int l = 0; l < options.layers; ++l) attention += ValueOf(l, position, token);
    ++position;
  };
  for (const TokenId t : prompt) add(t);
  std::vector<TokenId> out;
  while (static_cast<int>(out.size()) < sampling.max_tokens && position < options.context_length) {
    const TokenId token = TokenFor(attention, sampling, sequence, static_cast<int>(out.size()), options);
    out.push_back(token);
    if (!sampling.ignore_eos &&
        std::find(options.end_tokens.begin(), options.end_tokens.end(), token) != options.end_tokens.end())
      break;
    if (std::find(sampling.stop_token_ids.begin(), sampling.stop_token_ids.end(), token) !=
        sampling.stop_token_ids.end())
      break;
    add(token);
  }
  return out;
}

}  // namespace tokenworks::worker
