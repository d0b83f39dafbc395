// SPDX-License-Identifier: Apache-2.0
// The sampler on vocabularies of many parts: what it keeps may be more than it lists, ties may cross every border.
#include <numeric>

#include "sample_fixture.h"

namespace tokenworks::kernels::testing {
namespace {

class SampleWideTest : public SampleTest {
 protected:
  // Distinct noise for each row.
  void Seed(std::vector<SamplingRow>& rows) {
    for (SamplingRow& r : rows) r.seed = random_(), r.sequence = RandomInt(0, 3), r.position = RandomInt(0, 5000);
  }
  // All rows have the same logits.
  static std::vector<float> Repeat(const std::vector<float>& row, size_t rows) {
    std::vector<float> all;
    for (size_t r = 0; r < rows; ++r) all.insert(all.end(), row.begin(), row.end());
    return all;
  }
};

const std::vector<SamplingRow> kKinds = {{.temperature = 0, .logprobs = 20},
                                         {},
                                         {.top_k = 50, .top_p = 0.9f},
                                         {.top_k = 1000, .top_p = 0.98f, .min_p = 0.001f},
                                         {.top_k = 40000, .logprobs = 0},
                                         {.top_k = 5000},
                                         {.top_k = 3000, .top_p = 0.6f},
                                         {.top_p = 0.1f},
                                         {.top_p = 0.9f, .logprobs = 7},
                                         {.temperature = 4, .top_p = 0.97f},
                                         {.temperature = 0.2f, .top_p = 0.999f},
                                         {.min_p = 0.3f},
                                         {.min_p = 0.001f},
                                         {.top_p = 0.9f, .min_p = 0.002f},
                                         {.top_p = 0.8f, .min_p = 0.01f},
                                         {.top_p = 0.9999f, .min_p = 0.003f}};

TEST_F(SampleWideTest, EveryParameterAgainstSorting) {
  const int vocabulary = 40001, stride = 40004;
  std::vector<SamplingRow> rows = kKinds;
  for (int copy = 0; copy < 2; ++copy) rows.insert(rows.end(), kKinds.begin(), kKinds.end());
  Seed(rows);
  Run(RandomFloat(rows.size() * stride, 0, 2.5f), vocabulary, stride, rows, {});
  EXPECT_GT(ExpectAgreement(rows, 1e-5), 36);
}

TEST_F(SampleWideTest, TheLargestVocabulary) {
  const int vocabulary = 262144;
  std::vector<SamplingRow> rows = {{}, {.top_p = 0.9f}, {.top_k = 1024}};
  Seed(rows);
  Run(RandomFloat(rows.size() * vocabulary, 0, 2.5f), vocabulary, vocabulary, rows, {});
  EXPECT_GE(ExpectAgreement(rows, 1e-5), 2);
}

TEST_F(SampleWideTest, ARowDependsOnNothingButItself) {
  const int vocabulary = 20000;
  std::vector<SamplingRow> rows = {kKinds[2], kKinds[5], kKinds[8], kKinds[12], kKinds[13]};
  Seed(rows);
  const std::vector<float> logits = RandomFloat(rows.size() * vocabulary, 0, 2.5f);
  Run(logits, vocabulary, vocabulary, rows, {});
  const Results together = results_;
  for (size_t r = 0; r < rows.size(); ++r) {
    ShuffleFibers(100 + r);
    Run({logits.begin() + r * vocabulary, logits.begin() + (r + 1) * vocabulary}, vocabulary, vocabulary, {rows[r]},
        {});
    EXPECT_EQ(results_.token[0], together.token[r]) << r;
    if (rows[r].logprobs < 0) continue;
    EXPECT_EQ(results_.logprob[0], together.logprob[r]) << r;
    for (int i = 0; i < rows[r].logprobs; ++i)
      EXPECT_EQ(results_.top_logprob[i], together.top_logprob[r * kMaxTopTokens + i]) << r;
  }
}

// Equal values at the cut, more than the list holds, with a few higher ones among them: the lower ids are kept.
TEST_F(SampleWideTest, MoreEqualValuesAtTheCutThanTheListHolds) {
  const int vocabulary = 20000;
  std::vector<float> row(vocabulary, -3.0f);
  for (int i = 700; i < 18000; i += 3) row[i] = 1.0f;  // 5,767 of them
  for (int i = 0; i < 100; ++i) row[19000 - 3 * i] = 2.0f + 0.01f * i;
  std::vector<SamplingRow> rows = {{.top_k = 600, .logprobs = 20}, {.top_k = 3000},
                                   {.top_k = 4000, .top_p = 0.5f}, {.top_p = 0.5f},
                                   {.top_p = 0.5f, .min_p = 0.9f}, {.min_p = 0.1f}};
  for (int copy = 0; copy < 2; ++copy) rows.insert(rows.end(), rows.begin(), rows.begin() + 6);
  Seed(rows);
  Run(Repeat(row, rows.size()), vocabulary, vocabulary, rows, {});
  EXPECT_GE(ExpectAgreement(rows, 1e-5), 9);
}

// The crossing bin fits the list and holds an eighth of what is kept.
TEST_F(SampleWideTest, EqualValuesAtTheCutThatFitTheList) {
  const int vocabulary = 20000;
  std::vector<float> row = RandomFloat(vocabulary, -12, 1);
  for (int i = 1; i < vocabulary; i += 13) row[i] = 1.0f;  // 1,539 of them
  for (int i = 0; i < vocabulary; i += 5) row[i] = 1.35f + 0.00002f * (i % 9973);
  std::vector<SamplingRow> rows(12, {.top_p = 0.9f});
  for (int i = 6; i < 12; ++i) rows[i] = {.top_k = 4700};
  Seed(rows);
  Run(Repeat(row, rows.size()), vocabulary, vocabulary, rows, {});
  EXPECT_GE(ExpectAgreement(rows, 1e-5), 6);
}

// What can be listed holds 96 % of the nucleus: not enough.
TEST_F(SampleWideTest, TheListFallsJustShortOfTheNucleus) {
  const int vocabulary = 20000;
  std::vector<float> row(vocabulary, -12.0f);
  for (int i = 0; i < 1500; ++i) row[(22 + i / 128) * 512 + i % 128] = 1.0f;
  for (int i = 0; i < 700; ++i) row[i / 32 * 512 + i % 32 * 4] = 3.0f;
  std::vector<SamplingRow> rows(8, {.top_p = 0.81f});
  Seed(rows);
  Run(Repeat(row, rows.size()), vocabulary, vocabulary, rows, {});
  EXPECT_GE(ExpectAgreement(rows, 1e-5), 6);
}

TEST_F(SampleWideTest, NothingButEqualValues) {
  const int vocabulary = 9000;
  std::vector<SamplingRow> rows = {
      {.temperature = 0, .logprobs = 20}, {.top_k = 7}, {.top_p = 0.4f}, {.top_k = 2100}, {.min_p = 0.5f},
      {.top_k = 2500, .top_p = 0.5f}};
  Seed(rows);
  Run(std::vector<float>(rows.size() * vocabulary, -1.5f), vocabulary, vocabulary, rows, {});
  EXPECT_GE(ExpectAgreement(rows), 3);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(results_.top_token[i], i);
  EXPECT_LT(results_.token[1], 7);
  EXPECT_LT(results_.token[2], 3601);
  EXPECT_LT(results_.token[3], 2100);
  EXPECT_LT(results_.token[5], 1251);
}

TEST_F(SampleWideTest, TiesAcrossBorders) {
  const int vocabulary = 33000;
  for (const int border : {128, 512, 4096, 16384, 32768}) {
    std::vector<SamplingRow> rows(5, {.top_k = 2, .logprobs = 3});
    rows[0].temperature = 0;
    Seed(rows);
    std::vector<float> row = RandomFloat(vocabulary, -8, 1);
    row[border - 1] = row[border] = row[border + 64] = 3.0f;
    Run(Repeat(row, rows.size()), vocabulary, vocabulary, rows, {});
    ExpectAgreement(rows);
    EXPECT_EQ(results_.token[0], border - 1);
    for (size_t r = 1; r < rows.size(); ++r)
      EXPECT_TRUE(results_.token[r] == border - 1 || results_.token[r] == border);
    const std::vector<int32_t> top(results_.top_token.begin(), results_.top_token.begin() + 3);
    EXPECT_EQ(top, (std::vector<int32_t>{border - 1, border, border + 64}));
  }
}

// Reported are the raw logits; drawn is from the edited ones, with edits beside every border.
TEST_F(SampleWideTest, LogprobsAreOfTheLogitsBeforeEdits) {
  const int vocabulary = 17000;
  std::vector<SamplingRow> rows = {kKinds[0], kKinds[2], kKinds[5], kKinds[8], kKinds[12], {.logprobs = 20}};
  std::vector<float> logits = RandomFloat(rows.size() * vocabulary, 0, 2.5f);
  std::vector<LogitEdit> edits;
  for (size_t r = 0; r < rows.size(); ++r) {
    rows[r].logprobs = 5 + static_cast<int>(r);
    rows[r].repetition_penalty = 1.2f, rows[r].presence_penalty = 0.5f;
    rows[r].first_edit = static_cast<int>(edits.size());
    for (int t = 0; t < vocabulary; ++t) {
      const bool beside = t % 512 == 0 || t % 512 == 511;
      const bool high =
          logits[r * vocabulary + t] > 8.0f;  // forbidden: the top of the raw is not the top of the edited
      if (beside || high) edits.push_back({t, t % 3, high ? -INFINITY : 4.0f, t % 2});
    }
    rows[r].edits = static_cast<int>(edits.size()) - rows[r].first_edit;
  }
  Seed(rows);
  Run(logits, vocabulary, vocabulary, rows, edits);
  ExpectAgreement(rows);
}

// A few finite values, far from each other, between NaN and -inf; then nothing that could be drawn.
TEST_F(SampleWideTest, MostlyNothing) {
  const int vocabulary = 20000;
  std::vector<float> few(vocabulary, -INFINITY);
  for (int i = 0; i < vocabulary; i += 2) few[i] = NAN;
  few[3] = -200, few[511] = -30000, few[12345] = 1.5f, few[19999] = 1.25f;
  std::vector<SamplingRow> rows = {{.temperature = 0, .logprobs = 4},
                                   {.top_k = 3},
                                   {.top_p = 0.9f},
                                   {.min_p = 0.5f},
                                   {},
                                   {.logprobs = 4},
                                   {.top_k = 3},
                                   {.top_p = 0.9f}};
  Seed(rows);
  std::vector<float> logits = Repeat(few, 5);
  logits.resize(rows.size() * vocabulary, -INFINITY);
  Run(logits, vocabulary, vocabulary, rows, {});
  EXPECT_EQ(std::vector<int32_t>(results_.top_token.begin(), results_.top_token.begin() + 4),
            (std::vector<int32_t>{12345, 19999, 3, 511}));
  EXPECT_EQ(results_.token[0], 12345);
  for (int r = 1; r < 5; ++r) EXPECT_EQ(results_.token[r], expected_.token[r]) << r;
  for (int r = 5; r < 8; ++r) EXPECT_EQ(results_.token[r], 0) << r;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(results_.top_token[5 * kMaxTopTokens + i], -1);
}

TEST_F(SampleWideTest, EveryNumberOfLogprobs) {
  const int vocabulary = 6000;
  std::vector<SamplingRow> rows(21, {.temperature = 0});
  for (int r = 0; r <= 20; ++r) rows[r].logprobs = r;
  Run(RandomFloat(rows.size() * vocabulary, 0, 2.5f), vocabulary, vocabulary, rows, {});
  ExpectAgreement(rows);
}

}  // namespace
}  // namespace tokenworks::kernels::testing
