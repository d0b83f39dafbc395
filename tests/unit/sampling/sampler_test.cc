// SPDX-License-Identifier: Apache-2.0
// The sampler against NUMERICS.md, "Sampling": order of its steps, ties, noise, log probabilities.
#include "engine/sampling/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "engine/sampling/noise.h"

namespace tokenworks::sampling {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const SequenceId kSequence{{1}, 0};

struct Setting {
  SamplingParams params;
  std::vector<TokenId> prompt = {}, emitted = {}, end_tokens = {};
  SequenceId sequence = kSequence;
};

SampledToken First(const Setting& setting, const std::vector<float>& logits) {
  Sampler sampler(kernels::ScalarKernels(), setting.end_tokens);
  sampler.Open({setting.sequence, setting.params, setting.prompt, setting.emitted});
  return sampler.Sample(setting.sequence, logits);
}

SamplingParams Greedy() {
  SamplingParams p;
  p.temperature = 0;
  return p;
}

// How often each token comes over many seeds.
std::map<TokenId, int> Frequencies(Setting setting, const std::vector<float>& logits, int draws = 4000) {
  std::map<TokenId, int> seen;
  for (int seed = 0; seed < draws; ++seed) {
    setting.params.seed = static_cast<uint64_t>(seed);
    ++seen[First(setting, logits).token];
  }
  return seen;
}
std::set<TokenId> Support(const Setting& setting, const std::vector<float>& logits) {
  std::set<TokenId> out;
  for (const auto& [token, count] : Frequencies(setting, logits, 600)) out.insert(token);
  return out;
}
using Tokens = std::set<TokenId>;

// Logits of these probabilities.
std::vector<float> Logs(const std::vector<double>& probabilities) {
  std::vector<float> out;
  for (const double p : probabilities) out.push_back(static_cast<float>(std::log(p)));
  return out;
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowerIdOnTies) {
  EXPECT_EQ(First({Greedy()}, {1, 5, 3, 5}).token, 1);
  EXPECT_EQ(First({Greedy()}, {kNan, -7, kNan, -9}).token, 1);
  EXPECT_EQ(First({Greedy()}, {-kInfinity, -3}).token, 1);
}

TEST(Sampler, TemperatureShapesTheDistribution) {
  Setting s;
  auto even = Frequencies(s, Logs({0.5, 0.25, 0.25}));
  EXPECT_NEAR(even[0], 2000, 150);
  EXPECT_NEAR(even[1], 1000, 130);
  s.params.temperature = 0.5f;  // squares them: 4/6, 1/6, 1/6
  EXPECT_NEAR(Frequencies(s, Logs({0.5, 0.25, 0.25}))[0], 2667, 150);
}

TEST(Sampler, TopKTopPAndMinPCutWhereTheySay) {
  const auto logits = Logs({0.1, 0.4, 0.3, 0.2});
  Setting k, p, m;
  k.params.top_k = 2;
  EXPECT_EQ(Support(k, logits), (Tokens{1, 2}));
  EXPECT_NEAR(Frequencies(k, logits)[1], 4000 * 4 / 7, 150);
  p.params.top_p = 0.6f;  // 0.4 does not reach it, the crossing token is kept
  EXPECT_EQ(Support(p, logits), (Tokens{1, 2}));
  p.params.top_p = 0.01f;
  EXPECT_EQ(Support(p, logits), (Tokens{1}));
  m.params.min_p = 0.6f;  // of the most likely: 0.24
  EXPECT_EQ(Support(m, logits), (Tokens{1, 2}));
  m.params.top_p = 0.95f;  // the other way through the code
  EXPECT_EQ(Support(m, logits), (Tokens{1, 2}));
  Setting ties;
  ties.params.top_k = 1;
  EXPECT_EQ(Support(ties, {2, 3, 3, 3}), (Tokens{1}));
}

TEST(Sampler, TopPCountsWhatTopKLeft) {
  Setting s;
  s.params.top_k = 2;
  s.params.top_p = 0.55f;  // 0.4 of 0.7 is 0.571
  EXPECT_EQ(Support(s, Logs({0.1, 0.4, 0.3, 0.2})), (Tokens{1}));
}

TEST(Sampler, PenaltiesComeInOrderAndOverWhatTheySay) {
  Setting s{Greedy()};
  s.params.repetition_penalty = 2;
  s.prompt = {0};
  s.emitted = {1};
  EXPECT_EQ(First(s, {10, 9, 5.5f}).token, 2) << "positive values are divided, prompt and output";
  EXPECT_EQ(First(s, {-1, -1.2f, -1.5f}).token, 2) << "negative ones multiplied";
  s.prompt = {0, 0, 1};
  EXPECT_EQ(First(s, {10, 8.5f, 4.9f}).token, 0) << "once for each token, however often it came";
  Setting f{Greedy()};
  f.params.frequency_penalty = 1;
  f.prompt = {0, 0, 0, 0};
  f.emitted = {1, 1, 1};
  EXPECT_EQ(First(f, {5, 8.5f, 6}).token, 2) << "three times output, and the prompt does not count";
  Setting p{Greedy()};
  p.params.presence_penalty = 2;
  p.emitted = {1, 1, 1};
  EXPECT_EQ(First(p, {5, 8.5f, 6}).token, 1) << "once";
  Setting both{Greedy()};
  both.params.repetition_penalty = 2;
  both.params.presence_penalty = 3;
  both.emitted = {0};
  EXPECT_EQ(First(both, {10, 2.5f}).token, 1) << "10 / 2 - 3; the other order would give 3.5";
  both.params.logit_bias = {{0, 1}};
  EXPECT_EQ(First(both, {10, 2.5f}).token, 0) << "the bias comes after the penalties, unscaled";
}

TEST(Sampler, BiasAndIdsOutsideTheVocabulary) {
  Setting s{Greedy()};
  s.params.logit_bias = {{2, 100}, {-1, 100}, {1000, 100}};
  s.params.frequency_penalty = 1;
  s.emitted = {-5, 77};
  EXPECT_EQ(First(s, {1, 2, 0}).token, 2);
}

TEST(Sampler, MasksEndTokensUntilMinTokens) {
  Setting s{Greedy()};
  s.end_tokens = {0};
  s.params.stop_token_ids = {1};
  s.params.min_tokens = 2;
  s.params.logit_bias = {{0, 100}};
  Sampler sampler(kernels::ScalarKernels(), s.end_tokens);
  sampler.Open({kSequence, s.params, {}, {}});
  const std::vector<float> logits = {3, 2, 1};
  EXPECT_EQ(sampler.Sample(kSequence, logits).token, 2);
  EXPECT_EQ(sampler.Sample(kSequence, logits).token, 2);
  EXPECT_EQ(sampler.Sample(kSequence, logits).token, 0);
  s.emitted = {9, 9};
  EXPECT_EQ(First(s, logits).token, 0) << "what was emitted before counts";
}

TEST(Sampler, NoiseHangsOnSeedSequenceAndPositionAlone) {
  std::mt19937 random(3);
  std::vector<float> logits(500), other(500);
  for (float& x : logits) x = static_cast<float>(random() % 1000) / 300;
  for (float& x : other) x = static_cast<float>(random() % 1000) / 300;
  SamplingParams params;
  params.seed = 99;
  const auto run = [&](bool company) {
    Sampler sampler(kernels::ScalarKernels(), {});
    sampler.Open({kSequence, params, {}, {}});
    sampler.Open({{{2}, 0}, params, {}, {}});
    std::vector<TokenId> out;
    for (int i = 0; i < 12; ++i) {
      if (company) sampler.Sample({{2}, 0}, other);
      out.push_back(sampler.Sample(kSequence, logits).token);
    }
    return out;
  };
  const auto alone = run(false);
  EXPECT_EQ(alone, run(true)) << "another sequence in the batch changes nothing";
  EXPECT_GT(std::set<TokenId>(alone.begin(), alone.end()).size(), 6u) << "each position draws anew";
  Setting resumed{params};
  resumed.emitted.assign(alone.begin(), alone.begin() + 5);
  EXPECT_EQ(First(resumed, logits).token, alone[5]) << "a resumed sequence goes on with its position's noise";
  resumed.sequence.request.value = 77;
  EXPECT_EQ(First(resumed, logits).token, alone[5]) << "the request's id is not part of it";
  std::set<double> draws;
  for (const uint64_t seed : {0ull, 1ull, 1ull << 32})
    for (uint32_t sequence = 0; sequence < 3; ++sequence)
      for (uint32_t position = 0; position < 3; ++position) draws.insert(Uniform(seed, sequence, position));
  EXPECT_EQ(draws.size(), 27u);
  EXPECT_GT(*draws.begin(), 0);
  EXPECT_LT(*draws.rbegin(), 1);
}

// Philox4x32-10's published vectors (Random123, kat_vectors).
TEST(Noise, IsPhilox) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Sampler, ReportsLogprobsOfTheRawLogits) {
  Setting s{Greedy()};
  s.params.logprobs = 2;
  s.params.logit_bias = {{3, 100}};
  const SampledToken t = First(s, Logs({0.2, 0.3, 0.3, 0.2}));
  EXPECT_EQ(t.token, 3);
  EXPECT_NEAR(t.logprob, std::log(0.2), 1e-5);
  ASSERT_EQ(t.top.size(), 2u);
  EXPECT_EQ(t.top[0].token, 1) << "ties by the lower id";
  EXPECT_EQ(t.top[1].token, 2);
  EXPECT_NEAR(t.top[1].logprob, std::log(0.3), 1e-5);
  s.params.logprobs = 0;
  EXPECT_TRUE(First(s, Logs({0.5, 0.5})).top.empty());
  s.params.logprobs = 20;
  EXPECT_EQ(First(s, Logs({0.5, 0.5})).top.size(), 2u);
  s.params.logprobs = -1;
  EXPECT_EQ(First(s, Logs({0.5, 0.5})).logprob, 0);
}

// A client may send any temperature above 0, and a damaged model any logits: the answer is always a token of the row.
TEST(Sampler, GivesATokenOfTheRowForEveryInput) {
  const std::vector<std::vector<float>> rows = {{1, 3, 2},
                                                {kInfinity, 1, kInfinity},
                                                {-kInfinity, -kInfinity},
                                                {kNan, kNan},
                                                {kNan, 2, 1},
                                                {3e38f, -3e38f},
                                                {0, -0.0f},
                                                {1e-45f, 0},
                                                {-kInfinity, kInfinity},
                                                {5}};
  for (const float temperature : {1e-45f, 1e-39f, 1e-20f, 1.0f, 2.0f})
    for (const int top_k : {0, 1, 2})
      for (const float top_p : {1e-9f, 0.9f, 1.0f})
        for (const float min_p : {0.0f, 0.5f, 1.0f})
          for (size_t r = 0; r < rows.size(); ++r) {
            Setting s;
            s.params.temperature = temperature;
            s.params.top_k = top_k;
            s.params.top_p = top_p;
            s.params.min_p = min_p;
            const TokenId t = First(s, rows[r]).token;
            ASSERT_TRUE(t >= 0 && t < static_cast<TokenId>(rows[r].size())) << t << " of row " << r;
            if ((temperature < 1e-30f && r == 0) || r == 8) {
              ASSERT_EQ(t, 1) << "a temperature near 0 is greedy: " << temperature << " " << top_k << " " << top_p
                              << " row " << r;
            }
          }
}

}  // namespace
}  // namespace tokenworks::sampling
