// SPDX-License-Identifier: Apache-2.0
#include "sample_fixture.h"

namespace tokenworks::kernels::testing {
namespace {

TEST_F(SampleTest, EveryParameterAgainstSorting) {
  for (const int vocabulary : {5, 130, 4099, 32000}) {
    const int stride = (vocabulary + 3) / 4 * 4;
    std::vector<SamplingRow> rows = {{.temperature = 0, .logprobs = 20},
                                     {.temperature = 1},
                                     {.temperature = 0.7f, .top_k = 50},
                                     {.temperature = 1.3f, .top_p = 0.9f},
                                     {.min_p = 0.05f},
                                     {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.02f, .logprobs = 3},
                                     {.top_k = 1},
                                     {.top_p = 0.01f},
                                     {.top_k = 4000, .top_p = 0.6f},
                                     {.logprobs = 0}};
    const size_t kinds = rows.size();
    for (size_t i = 0; i < kinds; ++i) rows.push_back(rows[i]);  // other seeds
    for (SamplingRow& r : rows)
      r.seed = random_(), r.sequence = RandomInt(0, 3), r.position = RandomInt(0, 5000),
      r.logprobs = r.logprobs > vocabulary ? vocabulary : r.logprobs;
    Run(RandomFloat(rows.size() * stride, 0, 3), vocabulary, stride, rows, {});
    ExpectAgreement(rows);
  }
}

TEST_F(SampleTest, PenaltiesBiasAndForbiddenTokens) {
  const int vocabulary = 1000;
  std::vector<LogitEdit> edits;
  std::vector<SamplingRow> rows;
  for (int r = 0; r < 6; ++r) {
    rows.push_back({.temperature = r % 2 ? 0.9f : 0.0f,
                    .top_k = r % 3 * 10,
                    .repetition_penalty = 1.3f,
                    .frequency_penalty = 0.4f,
                    .presence_penalty = 0.3f,
                    .logprobs = 5,
                    .seed = random_(),
                    .first_edit = static_cast<int>(edits.size())});
    for (int t = r; t < vocabulary; t += 7)
      edits.push_back({t, RandomInt(0, 2), r == 3 ? 2.5f : t % 5 == 0 ? -INFINITY : 0.0f, RandomInt(0, 1)});
    rows.back().edits = static_cast<int>(edits.size()) - rows.back().first_edit;
  }
  Run(RandomFloat(rows.size() * vocabulary, 0, 3), vocabulary, vocabulary, rows, edits);
  ExpectAgreement(rows);
}

TEST_F(SampleTest, TiesGoToLowerIdsAndNaNIsNeverDrawn) {
  const int vocabulary = 6000;
  std::vector<SamplingRow> rows = {{.temperature = 0}, {.top_k = 7},       {.top_p = 0.5f},
                                   {.temperature = 0}, {.temperature = 1}, {.temperature = 1}};
  for (SamplingRow& r : rows) r.seed = random_();
  std::vector<float> logits(rows.size() * vocabulary, 1.25f);
  for (int i = 0; i < vocabulary; ++i) logits[3 * vocabulary + i] = i == 4321 ? -2.0f : NAN;
  for (int i = 0; i < vocabulary; ++i) logits[4 * vocabulary + i] = i == 17 ? -2.0f : NAN;
  for (int i = 0; i < vocabulary; ++i) logits[5 * vocabulary + i] = -INFINITY;
  Run(logits, vocabulary, vocabulary, rows, {});
  EXPECT_EQ(results_.token[0], 0);
  EXPECT_EQ(results_.token[1], expected_.token[1]);
  EXPECT_LT(results_.token[1], 7);
  EXPECT_LT(results_.token[2], 3001);
  EXPECT_NEAR(results_.token[2], expected_.token[2], 2);
  EXPECT_EQ(results_.token[3], 4321);
  EXPECT_EQ(results_.token[4], 17);
  EXPECT_EQ(results_.token[5], 0);
}

TEST_F(SampleTest, DrawsFollowTheDistribution) {
  const int vocabulary = 8, n = 400;
  std::vector<SamplingRow> rows(n);
  for (int r = 0; r < n; ++r) rows[r] = {.seed = 42, .position = static_cast<uint32_t>(r)};
  std::vector<float> logits;
  for (int r = 0; r < n; ++r)
    for (int i = 0; i < vocabulary; ++i) logits.push_back(std::log(static_cast<float>(i + 1)));
  Run(logits, vocabulary, vocabulary, rows, {});
  std::vector<int> seen(vocabulary);
  for (const int t : results_.token) ++seen[t];
  for (int i = 0; i < vocabulary; ++i) EXPECT_NEAR(seen[i], n * (i + 1) / 36.0, 4 * std::sqrt(n * (i + 1) / 36.0)) << i;
}

}  // namespace
}  // namespace tokenworks::kernels::testing
