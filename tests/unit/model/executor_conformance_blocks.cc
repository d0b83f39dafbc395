// SPDX-License-Identifier: Apache-2.0
#include "executor_conformance.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace tokenworks::model {
namespace {

TEST_P(ExecutorConformance, LayerGroupsComeInOrderBeforeTheResultAndHoldFinalContent) {
  std::vector<std::pair<uint64_t, int>> groups;
  std::vector<std::vector<std::byte>> seen;
  bool collected = false;
  const ExecutorInfo& info = executor().info();
  const int layers = static_cast<int>(info.kv_layout.layers.size());
  const auto content = [&](int group) {
    const int first = group * info.layer_group_layers;
    return Block(executor(), 2, first, std::min(info.layer_group_layers, layers - first));
  };
  executor().SetLayerGroupListener([&](uint64_t plan, int group) {
    EXPECT_FALSE(collected);
    groups.emplace_back(plan, group);
    seen.push_back(content(group));
  });
  Sequence a(kA, MakePrompt(48, 10), Blocks(0, 4));
  StepPlan plan;
  plan.id = 5;
  plan.starts = {a.Start()};
  plan.items = {a.Next(48)};
  plan.report_layer_groups = true;
  const auto result = Run(executor(), plan);
  collected = true;
  ASSERT_TRUE(result.ok()) << result.status();
  a.Take(*result);
  ASSERT_EQ(groups.size(), static_cast<size_t>(info.layer_groups));
  for (int g = 0; g < info.layer_groups; ++g) {
    EXPECT_EQ(groups[g], std::make_pair(uint64_t{5}, g));
    EXPECT_EQ(seen[g], content(g)) << "group " << g << " changed after it was reported";
  }
  StepPlan quiet;
  quiet.items = {a.Next(1)};
  ASSERT_TRUE(Run(executor(), quiet).ok());
  EXPECT_EQ(groups.size(), static_cast<size_t>(info.layer_groups)) << "a plan that did not ask";
}

// Many blocks in any order are the single ones, one after the other; and come back so.
void ExpectMessage(Executor& e, int first_layer, int layers) {
  const std::vector<BlockId> blocks = {2, 0, 1}, other = {20, 23, 21};
  std::vector<std::byte> expected;
  for (const BlockId b : blocks) {
    const auto one = Block(e, b, first_layer, layers);
    expected.insert(expected.end(), one.begin(), one.end());
  }
  std::vector<std::byte> message(expected.size());
  ASSERT_TRUE(e.CopyBlocksOut(blocks, first_layer, layers, message).ok());
  EXPECT_EQ(message, expected) << "layers from " << first_layer;
  ASSERT_TRUE(e.CopyBlocksIn(other, first_layer, layers, message).ok());
  for (size_t i = 0; i < blocks.size(); ++i)
    EXPECT_EQ(Block(e, other[i], first_layer, layers), Block(e, blocks[i], first_layer, layers)) << i;
}

TEST_P(ExecutorConformance, BlocksCopiedToAnotherExecutorContinueTheSame) {
  const int layers = static_cast<int>(executor().info().kv_layout.layers.size());
  Sequence whole(kA, MakePrompt(45, 11), Blocks(0, 4), Sampling(2));
  whole.Generate(executor(), {64}, 1);
  const auto decode = GetParam().make();
  const std::vector<BlockId> table = {7, 3, 12, 5};
  for (int b = 0; b < 3; ++b)
    for (int l = 0; l < layers; ++l)
      ASSERT_TRUE(decode->CopyBlocksIn({&table[b], 1}, l, 1, Block(executor(), b, l, 1)).ok());
  for (int b = 0; b < 3; ++b)
    EXPECT_EQ(Block(*decode, table[b]), Block(executor(), b)) << "one copy of all layers is the layers' copies";
  for (int first = 0, group = executor().info().layer_group_layers; first < layers; first += group)
    ExpectMessage(executor(), first, std::min(group, layers - first));
  Sequence moved(kA, MakePrompt(45, 11), table, Sampling(2));
  moved.Next(45);  // computed by the other side
  StepResult first;
  first.samples = {{kA, {whole.answers()[0]}}};
  moved.Take(first);
  StepPlan plan;
  plan.starts = {{kA, Sampling(2), MakePrompt(45, 11), {whole.answers()[0].token}}};
  plan.items = {moved.Next(1)};
  const auto result = Run(*decode, plan);
  ASSERT_TRUE(result.ok()) << result.status();
  moved.Take(*result);
  moved.opened = true;
  moved.Generate(*decode, {1}, 6);
  whole.Generate(executor(), {1}, 6);
  ExpectSame(moved.answers(), whole.answers());
}

TEST_P(ExecutorConformance, AWrongBlockChangesTheTokens) {
  SamplingParams greedy;
  greedy.temperature = 0;
  greedy.logprobs = 0;
  Sequence right(kA, MakePrompt(40, 12), Blocks(0, 4), greedy), other(kB, MakePrompt(40, 13), Blocks(10, 4), greedy);
  right.Generate(executor(), {64}, 1);
  other.Generate(executor(), {64}, 1);
  const auto apart = GetParam().make();
  Sequence same(kA, MakePrompt(40, 12), Blocks(0, 4), greedy);
  same.Generate(*apart, {64}, 4);
  right.blocks[1] = 11;  // another sequence's block, the same positions
  right.Generate(executor(), {1}, 4);
  EXPECT_NE(right.answers(), same.answers());
}

TEST_P(ExecutorConformance, ScatteredAndUsedBlocksChangeNothing) {
  Sequence plain(kA, MakePrompt(50, 14), Blocks(0, 4), Sampling(1)),
      dirt(kB, MakePrompt(64, 15), {30, 8, 22, 17, 1}, Sampling());
  plain.Generate(executor(), {64}, 5);
  const auto other = GetParam().make();
  dirt.Generate(*other, {64}, 2);
  Sequence scattered(kA, MakePrompt(50, 14), {22, 30, 17, 8}, Sampling(1));
  scattered.Generate(*other, {20}, 5);
  ExpectSame(scattered.answers(), plain.answers());
}

}  // namespace
}  // namespace tokenworks::model
