// SPDX-License-Identifier: Apache-2.0
#include "executor_conformance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/simt/bf16.h"

namespace tokenworks::model {

StatusOr<StepResult> ExecutorConformance::Run(Executor& executor, StepPlan plan) {
  TW_RETURN_IF_ERROR(executor.Submit(std::move(plan)));
  return executor.Collect();
}

SamplingParams ExecutorConformance::Sampling(int logprobs) const {
  if (GetParam().tolerance == 0) return Warm(logprobs);
  SamplingParams greedy;
  greedy.temperature = 0;
  greedy.logprobs = std::max(logprobs, 2);
  return greedy;
}

void ExecutorConformance::ExpectSame(const std::vector<SampledToken>& answers,
                                     const std::vector<SampledToken>& expected) const {
  const double tolerance = GetParam().tolerance;
  if (tolerance == 0) {
    EXPECT_EQ(answers, expected);
    return;
  }
  ASSERT_EQ(answers.size(), expected.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    const double margin = expected[i].top[0].logprob - expected[i].top[1].logprob;
    EXPECT_NEAR(answers[i].top[0].logprob, expected[i].top[0].logprob, tolerance) << "answer " << i;
    if (answers[i].token != expected[i].token) {  // from here on the texts differ
      EXPECT_LE(margin, 2 * tolerance) << "answer " << i;
      return;
    }
    EXPECT_NEAR(answers[i].logprob, expected[i].logprob, tolerance) << "answer " << i;
  }
}

void ExecutorConformance::ExpectSame(const std::vector<std::byte>& block,
                                     const std::vector<std::byte>& expected) const {
  if (GetParam().tolerance == 0) {
    EXPECT_EQ(block, expected);
    return;
  }
  ASSERT_EQ(block.size(), expected.size());  // bf16 values
  double largest = 0, difference = 0;
  for (size_t i = 0; i + 1 < block.size(); i += 2) {
    const auto value = [i](const std::vector<std::byte>& b) {
      Bf16 v;
      std::memcpy(&v, &b[i], 2);
      return static_cast<double>(ToFloat(v));
    };
    largest = std::max(largest, std::abs(value(expected)));
    difference = std::max(difference, std::abs(value(block) - value(expected)));
  }
  EXPECT_LE(difference, GetParam().tolerance * largest);
}

Sequence::Sequence(SequenceId id, std::vector<TokenId> prompt, std::vector<BlockId> table, SamplingParams sampling)
    : blocks(std::move(table)), id_(id), sampling_(std::move(sampling)), prompt_(prompt), tokens_(std::move(prompt)) {}

StepItem Sequence::Next(int count) {
  count = std::min(count, known() - computed_);
  StepItem item;
  item.tokens.assign(tokens_.begin() + computed_, tokens_.begin() + computed_ + count);
  item.first_position = computed_;
  item.blocks = blocks;
  item.is_prefill = count > 1;
  computed_ += count;
  if (computed_ == known()) item.samples = {id_};
  return item;
}

void Sequence::Take(const StepResult& result) {
  for (const StepSample& s : result.samples)
    if (s.sequence == id_)
      for (const SampledToken& t : s.tokens) answers_.push_back(t), tokens_.push_back(t.token);
}

void Sequence::Generate(Executor& executor, const std::vector<int>& chunks, int outputs) {
  size_t chunk = 0;
  while (static_cast<int>(answers_.size()) < outputs) {
    StepPlan plan;
    if (!opened) plan.starts.push_back(Start());
    opened = true;
    plan.items.push_back(Next(chunks[std::min(chunk++, chunks.size() - 1)]));
    ASSERT_TRUE(executor.Submit(plan).ok());
    const StatusOr<StepResult> result = executor.Collect();
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->samples.size(), plan.items[0].samples.size());
    Take(*result);
  }
}

std::vector<TokenId> MakePrompt(int tokens, int seed) {
  std::vector<TokenId> prompt(tokens);
  for (int i = 0; i < tokens; ++i) prompt[i] = 3 + (i * 37 + seed * 101 + i * i * 7) % 290;
  return prompt;
}

std::vector<BlockId> Blocks(int first, int count) {
  std::vector<BlockId> blocks(count);
  std::iota(blocks.begin(), blocks.end(), first);
  return blocks;
}

SamplingParams Warm(int logprobs) {
  SamplingParams p;
  p.temperature = 0.9f;
  p.seed = 77;
  p.logprobs = logprobs;
  p.repetition_penalty = 1.1f;
  return p;
}

std::vector<std::byte> Block(const Executor& e, BlockId block, int first_layer, int layers) {
  uint64_t bytes = 0;
  for (int l = first_layer; l < first_layer + layers; ++l) bytes += e.info().kv_layout.layers[l].bytes;
  std::vector<std::byte> out(bytes);
  EXPECT_TRUE(e.CopyBlocksOut({&block, 1}, first_layer, layers, out).ok());
  return out;
}
std::vector<std::byte> Block(const Executor& e, BlockId block) {
  return Block(e, block, 0, static_cast<int>(e.info().kv_layout.layers.size()));
}

std::vector<TokenId> Ids(const std::vector<SampledToken>& answers) {
  std::vector<TokenId> ids;
  for (const SampledToken& t : answers) ids.push_back(t.token);
  return ids;
}

}  // namespace tokenworks::model
