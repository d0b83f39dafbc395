// SPDX-License-Identifier: Apache-2.0
// What include/tokenworks/executor.h promises, as cases that every executor passes. A binary links
// executor_conformance.cc and instantiates the suite with its own executor.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "tokenworks/executor.h"

namespace tokenworks::model {

// An executor under test. `make` gives fresh ones that answer alike: vocabulary >= 300, context >= 512, >= 40 blocks,
// >= 2 layer groups.
struct Subject {
  std::string name;
  std::function<std::unique_ptr<Executor>()> make;
  // 0: the same bits whatever the shape of the steps. Else logprobs and values of K and V (as a share of the largest)
  // may differ by this much between shapes, and greedy tokens where the best two are closer than twice that.
  double tolerance = 0;
};
inline void PrintTo(const Subject& s, std::ostream* out) { *out << s.name; }

class ExecutorConformance : public testing::TestWithParam<Subject> {
 protected:
  void SetUp() override { executor_ = GetParam().make(); }
  Executor& executor() { return *executor_; }

  // Warm() for exact executors, greedy with the best two tokens for others.
  SamplingParams Sampling(int logprobs = -1) const;
  void ExpectSame(const std::vector<SampledToken>& answers, const std::vector<SampledToken>& expected) const;
  void ExpectSame(const std::vector<std::byte>& block, const std::vector<std::byte>& expected) const;

  // Submits and collects one plan.
  static StatusOr<StepResult> Run(Executor& executor, StepPlan plan);

 private:
  std::unique_ptr<Executor> executor_;
};

// One sequence computed on an executor the plain way: chunks, then one token a step.
class Sequence {
 public:
  Sequence(SequenceId id, std::vector<TokenId> prompt, std::vector<BlockId> blocks, SamplingParams sampling = {});

  // Rows of the next `count` known tokens; samples when they are the last known ones.
  StepItem Next(int count);
  SequenceStart Start() const { return {id_, sampling_, prompt_, {}}; }
  // Takes this sequence's answer out of a result.
  void Take(const StepResult& result);
  // Computes all known tokens in chunks, then further ones until `outputs` are there. Opens the sequence with the first
  // step.
  void Generate(Executor& executor, const std::vector<int>& chunks, int outputs);

  SequenceId id() const { return id_; }
  const std::vector<SampledToken>& answers() const { return answers_; }
  int known() const { return static_cast<int>(tokens_.size()); }
  int computed() const { return computed_; }

  bool opened = false;
  std::vector<BlockId> blocks;

 private:
  SequenceId id_;
  SamplingParams sampling_;
  std::vector<TokenId> prompt_, tokens_;  // tokens_: prompt and answers
  std::vector<SampledToken> answers_;
  int computed_ = 0;
};

inline constexpr SequenceId kA{{1}, 0}, kB{{2}, 0};
std::vector<TokenId> MakePrompt(int tokens, int seed);
// `count` block numbers from `first` on.
std::vector<BlockId> Blocks(int first, int count);
// Temperature 0.9 and a repetition penalty.
SamplingParams Warm(int logprobs = -1);
// The block's bytes: of some layers, of all.
std::vector<std::byte> Block(const Executor& e, BlockId block, int first_layer, int layers);
std::vector<std::byte> Block(const Executor& e, BlockId block);
std::vector<TokenId> Ids(const std::vector<SampledToken>& answers);

}  // namespace tokenworks::model
