// SPDX-License-Identifier: Apache-2.0
#include "engine/model/scripted/scripted_executor.h"

#include <cstring>

#include "executor_conformance.h"

namespace tokenworks::model {
namespace {

using scripted::ScriptedExecutor;
using scripted::ScriptedOptions;

constexpr TokenId kPoison = 999;

std::unique_ptr<ScriptedExecutor> Make(int depth = 1) {
  ScriptedOptions o;
  o.script = [](SequenceId s, int position) {
    return static_cast<TokenId>(3 + (s.request.value * 31 + s.index * 7 + position * 13) % 900);
  };
  o.poison_token = kPoison;
  o.depth = depth;
  return std::move(*ScriptedExecutor::Create(o));
}

INSTANTIATE_TEST_SUITE_P(Scripted, ExecutorConformance,
                         testing::Values(Subject{"Depth1", [] { return Make(1); }},
                                         Subject{"Depth2", [] { return Make(2); }}),
                         [](const auto& info) { return info.param.name; });

StepResult Execute(Executor& e, StepPlan plan) {
  EXPECT_TRUE(e.Submit(std::move(plan)).ok());
  return *e.Collect();
}

TEST(ScriptedExecutor, AnswersItsListsAndReportsTheToldTime) {
  ScriptedOptions o;
  o.script = scripted::FromLists({{kA, {11, 12}}}, 2);
  o.step_time = scripted::PerRow(std::chrono::milliseconds(3), std::chrono::milliseconds(1));
  const auto e = std::move(*ScriptedExecutor::Create(o));
  Sequence s(kA, MakePrompt(20, 1), {4, 2});
  StepPlan plan;
  plan.starts = {s.Start()};
  plan.items = {s.Next(20)};
  const StepResult first = Execute(*e, plan);
  EXPECT_EQ(first.duration, std::chrono::milliseconds(23));
  s.Take(first);
  s.opened = true;
  s.Generate(*e, {1}, 4);
  const TokenId expected[] = {11, 12, 2, 2};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(s.answers()[i].token, expected[i]);
  EXPECT_TRUE(e->violations().empty());
}

// Each way in which a hand-off can go wrong, done to the blocks between two steps.
TEST(ScriptedExecutor, PoisonsTheAnswerWhenABlockIsNotTheRightOne) {
  const auto bytes = Make()->info().kv_layout.block_bytes;
  using Wrong = std::function<void(ScriptedExecutor&, Sequence&)>;
  const std::pair<const char*, Wrong> wrongs[] = {
      {"another sequence's block", [](ScriptedExecutor&, Sequence& s) { s.blocks[0] = 10; }},
      {"two blocks exchanged", [](ScriptedExecutor&, Sequence& s) { std::swap(s.blocks[0], s.blocks[1]); }},
      {"a block that nobody wrote", [](ScriptedExecutor&, Sequence& s) { s.blocks[1] = 40; }},
      {"one layer of one block missing",
       [](ScriptedExecutor& e, Sequence& s) {
         (void)e.CopyBlocksIn({&s.blocks[1], 1}, 3, 1, std::vector<std::byte>(scripted::kLayerBytes));
       }},
      {"one bit", [=](ScriptedExecutor& e, Sequence& s) {
         std::vector<std::byte> block(bytes);
         (void)e.CopyBlocksOut({&s.blocks[0], 1}, 0, 4, block);
         block[777] ^= std::byte{1};
         (void)e.CopyBlocksIn({&s.blocks[0], 1}, 0, 4, block);
       }}};
  for (const auto& [what, spoil] : wrongs) {
    const auto e = Make();
    Sequence s(kA, MakePrompt(40, 1), {0, 1, 2}), other({{2}, 0}, MakePrompt(40, 2), {10, 11, 12});
    s.Generate(*e, {16}, 2);
    other.Generate(*e, {16}, 1);
    ASSERT_TRUE(e->violations().empty()) << e->violations()[0];
    spoil(*e, s);
    s.Generate(*e, {1}, 3);
    EXPECT_EQ(s.answers()[2].token, kPoison) << what;
    EXPECT_EQ(e->violations().size(), 1u) << what;
  }
}

// The blocks agree with themselves, but are another prompt's: only the prompt of SequenceStart tells.
TEST(ScriptedExecutor, PoisonsTheAnswerWhenAllBlocksAreAnotherPrompts) {
  const auto e = Make();
  Sequence other({{2}, 0}, MakePrompt(32, 2), {10, 11, 12});
  other.Generate(*e, {32}, 1);
  Sequence s(kA, MakePrompt(32, 1), {10, 11, 13});
  s.Next(32);
  StepResult first;
  first.samples = {{kA, {{34, 0, {}}}}};
  s.Take(first);
  StepPlan plan;
  plan.starts = {{kA, {}, MakePrompt(32, 1), {34}}};
  plan.items = {s.Next(1)};
  EXPECT_EQ(Execute(*e, plan).samples[0].tokens[0].token, kPoison);
}

TEST(ScriptedExecutor, RefusesTwoWritersOfOneSlot) {
  const auto e = Make();
  Sequence a(kA, MakePrompt(20, 1), {0, 1}), b({{2}, 0}, MakePrompt(20, 2), {2, 1});
  StepPlan plan;
  plan.starts = {a.Start(), b.Start()};
  plan.items = {a.Next(20), b.Next(20)};
  const Status status = e->Submit(plan);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(status.message()).find("block 1"), std::string::npos) << status;
}

TEST(ScriptedExecutor, RefusesOptionsThatCannotBe) {
  EXPECT_FALSE(ScriptedExecutor::Create({}).ok());
  ScriptedOptions o;
  o.script = scripted::FromLists({}, 1);
  o.poison_token = o.vocabulary;
  EXPECT_FALSE(ScriptedExecutor::Create(o).ok());
}

}  // namespace
}  // namespace tokenworks::model
