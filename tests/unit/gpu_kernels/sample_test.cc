// SPDX-License-Identifier: Apache-2.0
#include <numeric>
#include <set>

#include "device_fixture.h"
#include "kernels/sampling/philox.h"
#include "kernels/sampling/sample.h"

namespace tokenworks::kernels::testing {
namespace {

class SampleTest : public DeviceTest {
 protected:
  struct Results {
    std::vector<int32_t> token, top_token;
    std::vector<float> logprob, top_logprob;
  };

  void Run(std::vector<float> logits, int vocabulary, int stride, const std::vector<SamplingRow>& rows,
           const std::vector<LogitEdit>& edits) {
    const int n = static_cast<int>(rows.size());
    const auto d_logits = Upload(logits);
    const auto d_rows = Upload(rows);
    const auto d_edits = Upload(edits);
    const auto edited = Output<float>(edits.size()), logprob = Output<float>(n),
               top_logprob = Output<float>(n * kMaxTopTokens);
    const auto token = Output<int32_t>(n), top_token = Output<int32_t>(n * kMaxTopTokens);
    expected_ = {Download(token), Download(top_token), Download(logprob), Download(top_logprob)};
    slack_.assign(n, 0);
    std::vector<float> host = logits;
    SampleArgs args{.logits = host.data(),
                    .row = rows.data(),
                    .edits = edits.data(),
                    .token = expected_.token.data(),
                    .logprob = expected_.logprob.data(),
                    .top_token = expected_.top_token.data(),
                    .top_logprob = expected_.top_logprob.data(),
                    .rows = n,
                    .vocabulary = vocabulary,
                    .stride = stride};
    SampleReference(args, slack_.data());
    args.logits = d_logits.data(), args.row = d_rows.data(), args.edits = d_edits.data(), args.edited = edited.data(),
    args.token = token.data();
    args.logprob = logprob.data(), args.top_token = top_token.data(), args.top_logprob = top_logprob.data();
    Sample(context_, args);
    results_ = {Download(token), Download(top_token), Download(logprob), Download(top_logprob)};
  }

  void ExpectAgreement(const std::vector<SamplingRow>& rows) {
    for (size_t r = 0; r < rows.size(); ++r) {
      if (slack_[r] > 1e-4) {
        EXPECT_EQ(results_.token[r], expected_.token[r]) << "row " << r << " slack " << slack_[r];
      }
      if (rows[r].logprobs < 0) continue;
      if (results_.token[r] == expected_.token[r]) {
        EXPECT_NEAR(results_.logprob[r], expected_.logprob[r], 1e-3f) << r;
      }
      for (int i = 0; i < rows[r].logprobs; ++i) {
        EXPECT_EQ(results_.top_token[r * kMaxTopTokens + i], expected_.top_token[r * kMaxTopTokens + i])
            << r << " " << i;
        EXPECT_NEAR(results_.top_logprob[r * kMaxTopTokens + i], expected_.top_logprob[r * kMaxTopTokens + i], 1e-3f)
            << r << " " << i;
      }
    }
  }

  Results results_, expected_;
  std::vector<double> slack_;
};

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
    for (size_t i = 0; i < 2 * kinds; ++i) rows.push_back(rows[i % kinds]);  // other seeds
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
  const int vocabulary = 8, n = 600;
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
