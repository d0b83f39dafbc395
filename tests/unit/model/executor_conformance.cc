// SPDX-License-Identifier: Apache-2.0
#include "executor_conformance.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace tokenworks::model {

namespace {

TEST_P(ExecutorConformance, InfoFitsTogether) {
  const ExecutorInfo& i = executor().info();
  const int layers = static_cast<int>(i.kv_layout.layers.size());
  EXPECT_GE(i.vocabulary, 300);
  EXPECT_GE(i.context_length, 512);
  EXPECT_GE(i.kv_blocks, 40);
  EXPECT_GE(i.depth, 1);
  EXPECT_FALSE(i.weight_digest.empty());
  EXPECT_FALSE(i.numerics_id.empty());
  EXPECT_EQ(i.layer_groups, (layers + i.layer_group_layers - 1) / i.layer_group_layers);
  EXPECT_EQ(i.kv_layout.block_tokens, kBlockTokens);
  uint64_t offset = 0;
  for (const KvLayer& l : i.kv_layout.layers) {
    EXPECT_EQ(l.offset, offset);
    EXPECT_EQ(l.bytes, static_cast<uint64_t>(l.planes) * l.heads * l.dim * kBlockTokens * KvDtypeBytes(l.dtype));
    offset += l.bytes;
  }
  EXPECT_EQ(i.kv_layout.block_bytes, offset);
}

TEST_P(ExecutorConformance, CollectsInSubmitOrderUpToTheDepth) {
  const int depth = executor().info().depth;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < depth; ++i) ASSERT_TRUE(executor().Submit({.id = static_cast<uint64_t>(10 * round + i)}).ok());
    EXPECT_EQ(executor().Submit({.id = 99}).code(), StatusCode::kInvalidArgument) << "one more than the depth";
    for (int i = 0; i < depth; ++i) {
      const auto result = executor().Collect();
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->plan, static_cast<uint64_t>(10 * round + i));
      EXPECT_TRUE(result->samples.empty());
      EXPECT_GE(result->duration.count(), 0);
    }
    EXPECT_FALSE(executor().Collect().ok()) << "nothing is submitted";
  }
}

TEST_P(ExecutorConformance, RefusesPlansThatBreakTheContractAndGoesOn) {
  const ExecutorInfo& info = executor().info();
  Sequence a(kA, MakePrompt(20, 1), {0, 1});
  StepPlan good;
  good.starts.push_back(a.Start());
  good.items.push_back(a.Next(20));
  const std::pair<const char*, std::function<void(StepPlan&)>> breaks[] = {
      {"no tokens", [](StepPlan& p) { p.items[0].tokens.clear(); }},
      {"negative position", [](StepPlan& p) { p.items[0].first_position = -1; }},
      {"position that overflows", [](StepPlan& p) { p.items[0].first_position = 0x7FFFFFFF; }},
      {"beyond the context",
       [&](StepPlan& p) {
         p.items[0].first_position = info.context_length - 10;
         p.items[0].blocks.assign(info.context_length / kBlockTokens + 1, 0);
       }},
      {"too few blocks", [](StepPlan& p) { p.items[0].blocks.pop_back(); }},
      {"block outside the pool", [&](StepPlan& p) { p.items[0].blocks[1] = info.kv_blocks; }},
      {"negative block", [](StepPlan& p) { p.items[0].blocks[0] = -1; }},
      {"token outside the vocabulary", [&](StepPlan& p) { p.items[0].tokens[3] = info.vocabulary; }},
      {"negative token", [](StepPlan& p) { p.items[0].tokens[0] = -1; }},
      {"copy from outside the pool",
       [&](StepPlan& p) {
         p.copies.push_back({info.kv_blocks, 0});
       }},
      {"copy to outside the pool",
       [](StepPlan& p) {
         p.copies.push_back({0, -1});
       }},
      {"sample of a sequence that is not open", [](StepPlan& p) { p.items[0].samples.push_back(kB); }},
      {"sample of a sequence that ends", [](StepPlan& p) {
         p.starts.clear();
         p.ends.push_back(kA);
       }}};
  for (const auto& [what, make_bad] : breaks) {
    StepPlan bad = good;
    make_bad(bad);
    EXPECT_EQ(executor().Submit(bad).code(), StatusCode::kInvalidArgument) << what;
  }
  const auto result = Run(executor(), good);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->samples.size(), 1u);
}

TEST_P(ExecutorConformance, ChunksOfAnySizeGiveTheSameTokensAndBlocks) {
  Sequence whole(kA, MakePrompt(53, 2), Blocks(0, 5), Sampling(3));
  whole.Generate(executor(), {64}, 8);
  ASSERT_EQ(whole.answers().size(), 8u);
  for (const std::vector<int>& chunks : std::vector<std::vector<int>>{{1}, {7}, {16}, {17, 3, 32}, {52, 1}}) {
    const auto other = GetParam().make();
    Sequence cut(kA, MakePrompt(53, 2), Blocks(0, 5), Sampling(3));
    cut.Generate(*other, chunks, 8);
    SCOPED_TRACE(testing::Message() << "chunks of " << chunks[0]);
    ExpectSame(cut.answers(), whole.answers());
    for (int b = 0; b < 3; ++b) ExpectSame(Block(*other, b), Block(executor(), b));
  }
}

TEST_P(ExecutorConformance, MixedStepEqualsSeparateSteps) {
  const auto apart = GetParam().make();
  Sequence a(kA, MakePrompt(21, 3), Blocks(0, 3), Sampling(2)), b(kB, MakePrompt(40, 4), Blocks(10, 4), Sampling(2));
  a.Generate(*apart, {64}, 6);
  b.Generate(*apart, {64}, 3);
  Sequence x(kA, MakePrompt(21, 3), Blocks(0, 3), Sampling(2)), y(kB, MakePrompt(40, 4), Blocks(10, 4), Sampling(2));
  x.Generate(executor(), {64}, 1);
  for (int step = 0; x.answers().size() < 6 || y.answers().size() < 3; ++step) {
    StepPlan plan;
    if (step == 0) plan.starts.push_back(y.Start());
    if (y.answers().size() < 3) plan.items.push_back(y.Next(13));
    if (x.answers().size() < 6) plan.items.push_back(x.Next(1));
    const auto result = Run(executor(), plan);
    ASSERT_TRUE(result.ok()) << result.status();
    x.Take(*result);
    y.Take(*result);
  }
  ExpectSame(x.answers(), a.answers());
  ExpectSame(y.answers(), b.answers());
}

TEST_P(ExecutorConformance, SamplesComeInItemOrderAndOnlyWhereAsked) {
  Sequence a(kA, MakePrompt(18, 5), Blocks(0, 2)), inner(kB, MakePrompt(30, 6), Blocks(4, 2));
  const SequenceId second{{1}, 1};
  StepPlan plan;
  plan.starts = {a.Start(), inner.Start(), {second, {}, MakePrompt(18, 5), {}}};
  plan.items = {inner.Next(8), a.Next(18)};
  plan.items[1].samples = {second, kA};
  const auto result = Run(executor(), plan);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->samples.size(), 2u) << "an inner chunk has no output head";
  EXPECT_EQ(result->samples[0].sequence, second);
  EXPECT_EQ(result->samples[1].sequence, kA);
  for (const StepSample& s : result->samples) EXPECT_GE(s.tokens.size(), 1u);
  StepPlan none;
  none.items = {inner.Next(8)};
  const auto empty = Run(executor(), none);
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_TRUE(empty->samples.empty());
}

TEST_P(ExecutorConformance, CopiesATailBlockBeforeTheStepWritesIt) {
  const SequenceId second{{1}, 1};
  const auto apart = GetParam().make();
  Sequence alone(second, MakePrompt(20, 7), Blocks(0, 3), Sampling());
  alone.Generate(*apart, {64}, 5);
  Sequence first(kA, MakePrompt(20, 7), Blocks(0, 3), Sampling()),
      forked(second, MakePrompt(20, 7), {0, 9, 10}, Sampling());
  StepPlan prefill;
  prefill.starts = {first.Start(), forked.Start()};
  prefill.items = {first.Next(20)};
  prefill.items[0].samples = {kA, second};
  forked.Next(20);
  const auto result = Run(executor(), prefill);
  ASSERT_TRUE(result.ok()) << result.status();
  first.Take(*result);
  forked.Take(*result);
  for (int step = 0; step < 4; ++step) {
    StepPlan plan;
    if (step == 0) plan.copies.push_back({1, 9});  // the first sequence writes block 1 in this same step
    plan.items = {first.Next(1), forked.Next(1)};
    const auto next = Run(executor(), plan);
    ASSERT_TRUE(next.ok()) << next.status();
    first.Take(*next);
    forked.Take(*next);
  }
  ExpectSame(forked.answers(), alone.answers());
}

TEST_P(ExecutorConformance, AnEndedSequenceCanStartAnewInTheSamePlan) {
  Sequence once(kA, MakePrompt(17, 8), Blocks(0, 3), Sampling());
  once.Generate(executor(), {64}, 4);
  Sequence again(kA, MakePrompt(17, 8), Blocks(5, 3), Sampling());
  StepPlan plan;
  plan.ends = {kA};
  plan.starts = {again.Start()};
  plan.items = {again.Next(17)};
  const auto result = Run(executor(), plan);
  ASSERT_TRUE(result.ok()) << result.status();
  again.Take(*result);
  again.opened = true;
  again.Generate(executor(), {1}, 4);
  ExpectSame(again.answers(), once.answers());  // its outputs count from 0 again
}

TEST_P(ExecutorConformance, EmittedTokensCountAsOutput) {
  Sequence whole(kA, MakePrompt(25, 9), Blocks(0, 3), Sampling(1));
  whole.Generate(executor(), {64}, 7);
  const auto other = GetParam().make();
  std::vector<TokenId> emitted = Ids(whole.answers()), tokens = MakePrompt(25, 9);
  emitted.resize(4);
  tokens.insert(tokens.end(), emitted.begin(), emitted.end());
  Sequence moved(kA, tokens, Blocks(3, 3));
  StepPlan plan;
  plan.starts = {{kA, Sampling(1), MakePrompt(25, 9), emitted}};
  plan.items = {moved.Next(64)};
  const auto result = Run(*other, plan);
  ASSERT_TRUE(result.ok()) << result.status();
  moved.Take(*result);
  moved.opened = true;
  moved.Generate(*other, {1}, 3);
  ExpectSame(moved.answers(), {whole.answers().begin() + 4, whole.answers().end()});
}

TEST_P(ExecutorConformance, LogprobsComeWhenAskedAndChangeNoToken) {
  Sequence none(kA, MakePrompt(20, 16), Blocks(0, 2), Warm());
  none.Generate(executor(), {64}, 4);
  for (const SampledToken& t : none.answers()) EXPECT_TRUE(t.top.empty());
  for (const int wanted : {0, 1, 5, kMaxTopLogprobs}) {
    const auto other = GetParam().make();
    Sequence asked(kA, MakePrompt(20, 16), Blocks(0, 2), Warm(wanted));
    asked.Generate(*other, {64}, 4);
    EXPECT_EQ(Ids(asked.answers()), Ids(none.answers()));
    for (const SampledToken& t : asked.answers()) {
      EXPECT_LT(t.logprob, 0.0f);
      ASSERT_EQ(t.top.size(), static_cast<size_t>(wanted));
      std::set<TokenId> distinct;
      for (size_t i = 0; i < t.top.size(); ++i) {
        distinct.insert(t.top[i].token);
        if (t.top[i].token == t.token) {
          EXPECT_EQ(t.top[i].logprob, t.logprob);
        }
        if (i == 0) continue;
        EXPECT_GE(t.top[i - 1].logprob, t.top[i].logprob);
        if (t.top[i - 1].logprob == t.top[i].logprob) {
          EXPECT_LT(t.top[i - 1].token, t.top[i].token);
        }
      }
      EXPECT_EQ(distinct.size(), t.top.size());
    }
  }
}

}  // namespace
}  // namespace tokenworks::model
