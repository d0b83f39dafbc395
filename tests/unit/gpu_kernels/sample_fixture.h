// SPDX-License-Identifier: Apache-2.0
// The device's sampler and the reference on the same rows.
#pragma once

#include <algorithm>

#include "device_fixture.h"
#include "kernels/sampling/sample.h"

namespace tokenworks::kernels::testing {

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
    const auto scratch = Output<std::byte>(SampleScratchBytes(n, vocabulary));
    SampleArgs args{.logits = host.data(),
                    .row = rows.data(),
                    .edits = edits.data(),
                    .token = expected_.token.data(),
                    .logprob = expected_.logprob.data(),
                    .top_token = expected_.top_token.data(),
                    .top_logprob = expected_.top_logprob.data(),
                    .rows = n,
                    .vocabulary = vocabulary,
                    .stride = stride,
                    .any_wide = std::any_of(rows.begin(), rows.end(), MayBeWide)};
    SampleReference(args, slack_.data());
    args.logits = d_logits.data(), args.row = d_rows.data(), args.edits = d_edits.data(), args.edited = edited.data(),
    args.token = token.data(), args.scratch = scratch.data();
    args.logprob = logprob.data(), args.top_token = top_token.data(), args.top_logprob = top_logprob.data();
    Sample(context_, args);
    results_ = {Download(token), Download(top_token), Download(logprob), Download(top_logprob)};
  }

  // Tokens must agree where the draw has more slack than this. Returns how many had.
  int ExpectAgreement(const std::vector<SamplingRow>& rows, double slack = 1e-4) {
    int sure = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      if (slack_[r] > slack) {
        ++sure;
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
    return sure;
  }

  Results results_, expected_;
  std::vector<double> slack_;
};

}  // namespace tokenworks::kernels::testing
