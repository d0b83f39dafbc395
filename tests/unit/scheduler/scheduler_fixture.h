// SPDX-License-Identifier: Apache-2.0
// A device that checks what the scheduler tells it: which (token, position) each block holds.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "engine/scheduler/scheduler.h"

namespace tokenworks::scheduler {

// The next token is a hash of the whole prefix that the plan's blocks hold, so a wrong table or a lost copy changes it.
class FakeDevice {
 public:
  explicit FakeDevice(int blocks) : marks_(blocks, std::vector<TokenId>(kBlockTokens, -1)) {}

  static TokenId NextToken(const std::vector<TokenId>& prefix, uint32_t sequence) {
    uint64_t h = 1469598103934665603ull + sequence;
    for (const TokenId t : prefix) h = (h ^ static_cast<uint64_t>(t)) * 1099511628211ull;
    return static_cast<TokenId>(10 + (h >> 33) % 1000);
  }

  StepResult Run(const StepPlan& plan) {
    for (const BlockCopy& c : plan.copies) marks_[c.destination] = marks_[c.source];
    std::set<std::pair<BlockId, int>> written;
    StepResult result{plan.id, {}, std::chrono::milliseconds(3)};
    for (const StepItem& item : plan.items)
      for (size_t i = 0; i < item.tokens.size(); ++i) {
        const int p = item.first_position + static_cast<int>(i);
        EXPECT_TRUE(written.insert({item.blocks.at(p / kBlockTokens), p % kBlockTokens}).second)
            << "two writers of one slot";
        marks_[item.blocks[p / kBlockTokens]][p % kBlockTokens] = item.tokens[i];
      }
    for (const StepItem& item : plan.items) {
      const int n = item.first_position + static_cast<int>(item.tokens.size());
      std::vector<TokenId> prefix;
      for (int p = 0; p < n; ++p) prefix.push_back(marks_[item.blocks[p / kBlockTokens]][p % kBlockTokens]);
      EXPECT_EQ(std::count(prefix.begin(), prefix.end(), -1), 0) << "a position was never written";
      for (const SequenceId& s : item.samples) result.samples.push_back({s, {{NextToken(prefix, s.index), 0, {}}}});
    }
    return result;
  }

  std::vector<std::vector<TokenId>> marks_;
};

// Runs the scheduler's plans with up to `depth` in flight; pending tokens are those that the plan before has drawn.
class Pipeline {
 public:
  Pipeline(Scheduler& scheduler, FakeDevice& device, int depth)
      : scheduler_(scheduler), device_(device), depth_(depth) {}

  // Plans as far as the depth allows, then completes the oldest plan (or fails it). False when there was nothing to do.
  bool Step(TimePoint now, bool fail = false) {
    while (static_cast<int>(plans_.size()) < depth_) {
      auto planned = scheduler_.Plan(now);
      if (!planned) break;
      int samples = 0;
      for (const StepItem& item : planned->plan.items) {
        pending_ += item.tokens[0] == kPendingToken;
        samples += static_cast<int>(item.samples.size());
      }
      most_samples_ = std::max(most_samples_, samples);
      plans_.push_back(std::move(planned->plan));
    }
    if (plans_.empty()) return false;
    StepPlan plan = std::move(plans_.front());
    plans_.pop_front();
    for (StepItem& item : plan.items)
      if (item.tokens[0] == kPendingToken) item.tokens[0] = drawn_[item.samples[0]];
    const StepResult result = device_.Run(plan);
    for (const StepSample& s : result.samples) drawn_[s.sequence] = s.tokens[0].token;
    if (fail)
      scheduler_.Fail(plan.id, absl::InternalError("planted"), now);
    else
      scheduler_.Complete(result, now);
    return true;
  }
  int pending() const { return pending_; }
  int most_samples() const { return most_samples_; }  // of one plan

 private:
  Scheduler& scheduler_;
  FakeDevice& device_;
  const int depth_;
  std::deque<StepPlan> plans_;
  std::map<SequenceId, TokenId> drawn_;
  int pending_ = 0, most_samples_ = 0;
};

inline std::vector<TokenId> Expected(const GenerationRequest& r, uint32_t sequence) {
  std::vector<TokenId> prefix = r.prompt, out;
  while (static_cast<int>(out.size()) < r.sampling.max_tokens) {
    out.push_back(FakeDevice::NextToken(prefix, out.empty() ? sequence : sequence));
    prefix.push_back(out.back());
  }
  return out;
}

inline GenerationRequest MakeRequest(uint64_t id, int prompt, int max_tokens, std::mt19937& rng, uint32_t n = 1) {
  GenerationRequest r;
  r.id.value = id;
  r.n = n;
  for (int i = 0; i < prompt; ++i) r.prompt.push_back(static_cast<TokenId>(i < 40 ? i % 7 : rng() % 500));
  r.sampling.max_tokens = max_tokens;
  return r;
}

inline SchedulerOptions Options(int blocks, int depth = 1) {
  SchedulerOptions o;
  o.depth = depth;
  o.kv_blocks = blocks;
  o.context_length = blocks * kBlockTokens;
  o.chunk_tokens_max = 48;
  o.step_rows_max = 64;
  return o;
}

struct Seen {
  std::map<RequestId, std::map<uint32_t, std::vector<TokenId>>> tokens;
  std::map<RequestId, RequestEnded> ended;
  void Take(SchedulerOutput out) {
    for (const TokenDelta& d : out.deltas) {
      auto& t = tokens[d.request][d.sequence];
      EXPECT_EQ(d.position, t.size());
      for (const SampledToken& s : d.tokens) t.push_back(s.token);
    }
    for (const RequestEnded& e : out.ended) EXPECT_TRUE(ended.emplace(e.request, e).second) << "ended twice";
  }
};

inline KvCounts Kv(const Scheduler& s) {
  WorkerReport report;
  s.Report(report);
  EXPECT_EQ(report.kv.leaked, 0);
  EXPECT_EQ(report.kv.free + report.kv.cached + report.kv.active + report.kv.reserved + report.kv.sending +
                report.kv.receiving,
            report.kv.total);
  return report.kv;
}

}  // namespace tokenworks::scheduler
