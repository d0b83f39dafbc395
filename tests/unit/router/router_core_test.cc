// SPDX-License-Identifier: Apache-2.0
#include "router/router_core.h"

#include <gtest/gtest.h>

#include <random>

namespace tokenworks::router {
namespace {

struct Sink final : TokenSink {
  void OnTokens(TokenDelta d) override {
    EXPECT_FALSE(ended);
    EXPECT_EQ(d.position, tokens);
    tokens += static_cast<uint32_t>(d.tokens.size());
  }
  void OnEnd(RequestSummary s) override {
    EXPECT_FALSE(ended) << "ended twice";
    ended = true;
    summary = std::move(s);
  }
  bool ended = false;
  uint32_t tokens = 0;
  RequestSummary summary;
};

class RouterCoreTest : public ::testing::Test {
 protected:
  RouterCoreTest()
      : core_(Options(), *MakePolicy("least_loaded", 1),
              [this](const WorkerId& w, ToWorker m) { sent_.emplace_back(w, std::move(m)); }) {
    core_.AddWorker("prefill-0", WorkerRole::kPrefill);
    core_.AddWorker("decode-0", WorkerRole::kDecode);
  }
  static RouterOptions Options() {
    RouterOptions o;
    o.context_length = 100;
    o.waiting_max = 8;
    return o;
  }
  void Hello(const WorkerId& id, WorkerRole role) {
    FromWorker m;
    m.hello.emplace();
    m.hello->worker = id;
    m.hello->role = role;
    m.hello->incarnation = ++incarnation_;
    m.hello->context_length = 100;
    core_.OnMessage(id, std::move(m), clock_.Now());
  }
  void BothReady() {
    Hello("prefill-0", WorkerRole::kPrefill);
    Hello("decode-0", WorkerRole::kDecode);
  }
  std::shared_ptr<Sink> Submit(uint64_t id, int prompt = 10) {
    GenerationRequest r;
    r.id.value = id;
    r.epoch = 1;
    r.prompt.assign(prompt, 1);
    r.sampling.max_tokens = 50;
    auto sink = std::make_shared<Sink>();
    core_.Submit(std::move(r), sink, clock_.Now());
    return sink;
  }
  FromWorker Token(uint64_t id, uint32_t position, Epoch epoch = 1, FinishReason finish = FinishReason::kNone) {
    FromWorker m;
    m.deltas.push_back({{id}, epoch, 0, position, {SampledToken{7, 0, {}}}, finish});
    return m;
  }
  void ExpectBalanced() {
    const RequestBooks b = core_.Snapshot().requests;
    EXPECT_EQ(b.received, b.completed + b.failed + b.cancelled + b.rejected + b.active);
  }

  ManualClock clock_;
  Incarnation incarnation_ = 0;
  std::vector<std::pair<WorkerId, ToWorker>> sent_;
  RouterCore core_;
};

TEST_F(RouterCoreTest, HandsOffBetweenTheTwoPoolsAndEndsWithTheDecodeWorker) {
  BothReady();
  const auto sink = Submit(1);
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].first, "prefill-0");
  EXPECT_EQ(std::get<Assign>(sent_[0].second).route, Route::kHandoff);
  core_.OnMessage("prefill-0", Token(1, 0), clock_.Now());
  FromWorker handed;
  handed.ended.emplace_back();
  handed.ended[0].request = {1};
  handed.ended[0].epoch = 1;
  handed.ended[0].handed_off = true;
  core_.OnMessage("prefill-0", handed, clock_.Now());
  EXPECT_FALSE(sink->ended);
  core_.OnMessage("decode-0", Token(1, 1, 1, FinishReason::kStop), clock_.Now());
  handed.ended[0].handed_off = false;
  core_.OnMessage("decode-0", handed, clock_.Now());
  EXPECT_TRUE(sink->ended);
  EXPECT_TRUE(sink->summary.status.ok());
  EXPECT_EQ(sink->tokens, 2u);
  ExpectBalanced();
}

TEST_F(RouterCoreTest, EveryTimingOfARequestIsObserved) {
  BothReady();
  const auto sink = Submit(1);
  clock_.Advance(std::chrono::milliseconds(20));
  core_.OnMessage("prefill-0", Token(1, 0), clock_.Now());
  FromWorker ended;
  ended.ended.emplace_back();
  ended.ended[0].request = {1};
  ended.ended[0].epoch = 1;
  ended.ended[0].handed_off = true;
  ended.ended[0].timings.queue_ms = 12;
  core_.OnMessage("prefill-0", ended, clock_.Now());
  clock_.Advance(std::chrono::milliseconds(30));
  core_.OnMessage("decode-0", Token(1, 1, 1, FinishReason::kStop), clock_.Now());
  ended.ended[0].handed_off = false;
  core_.OnMessage("decode-0", ended, clock_.Now());
  ASSERT_TRUE(sink->ended);
  EXPECT_EQ(sink->summary.timings.queue_ms, 12);
  const RouterMetrics m = core_.Snapshot().metrics;
  EXPECT_EQ(m.queue.count(), 1u) << "the decode worker's end says nothing of the queue";
  EXPECT_DOUBLE_EQ(m.queue.sum_seconds(), 0.012);
  EXPECT_DOUBLE_EQ(m.ttft.sum_seconds(), 0.020);
  EXPECT_DOUBLE_EQ(m.inter_token.sum_seconds(), 0.030);
  EXPECT_DOUBLE_EQ(m.end_to_end.sum_seconds(), 0.050);
}

TEST_F(RouterCoreTest, DropsDuplicatesAndOldEpochsAndFillsGaps) {
  BothReady();
  const auto sink = Submit(1);
  for (auto [position, epoch] : {std::pair<uint32_t, Epoch>{0, 1}, {0, 1}, {2, 1}, {2, 1}, {1, 0}, {1, 1}})
    core_.OnMessage("prefill-0", Token(1, position, epoch), clock_.Now());
  EXPECT_EQ(sink->tokens, 3u);
  EXPECT_EQ(core_.Snapshot().metrics.dropped_deltas, 3u);
}

// Two workers, two streams: nothing says which message the router reads first.
TEST_F(RouterCoreTest, ADecodeWorkerMayOvertakeThePrefillWorkersFirstToken) {
  BothReady();
  const auto sink = Submit(1);
  FromWorker ended;
  ended.ended.emplace_back();
  ended.ended[0].request = {1};
  ended.ended[0].epoch = 1;
  core_.OnMessage("decode-0", Token(1, 1), clock_.Now());
  core_.OnMessage("decode-0", Token(1, 2, 1, FinishReason::kLength), clock_.Now());
  core_.OnMessage("decode-0", ended, clock_.Now());
  EXPECT_EQ(sink->tokens, 0u);
  EXPECT_FALSE(sink->ended);
  core_.OnMessage("prefill-0", Token(1, 0), clock_.Now());
  EXPECT_EQ(sink->tokens, 3u);
  EXPECT_TRUE(sink->ended);
  EXPECT_TRUE(sink->summary.status.ok());
  ended.ended[0].handed_off = true;
  core_.OnMessage("prefill-0", ended, clock_.Now());
  EXPECT_EQ(core_.Snapshot().metrics.dropped_deltas, 0u);
  ExpectBalanced();
}

TEST_F(RouterCoreTest, CountsOnlyTheTokensThatAStopStringKept) {
  BothReady();
  const auto sink = Submit(1);
  for (uint32_t p = 0; p < 6; ++p) core_.OnMessage("prefill-0", Token(1, p), clock_.Now());
  core_.Cancel({1}, 0, CancelReason::kStopString, 4, clock_.Now());
  EXPECT_TRUE(sink->ended);
  EXPECT_TRUE(sink->summary.status.ok());
  EXPECT_EQ(core_.Snapshot().metrics.generation_tokens, 4u);
  EXPECT_EQ(core_.Snapshot().requests.completed, 1u);
}

TEST_F(RouterCoreTest, RefusesBeforeTheStreamWhatCannotBeServed) {
  BothReady();
  EXPECT_EQ(Submit(1, 100)->summary.status.code(), StatusCode::kInvalidArgument);
  for (uint64_t id = 2; id < 10; ++id) Submit(id);
  const auto full = Submit(10);
  EXPECT_EQ(full->summary.status.code(), StatusCode::kResourceExhausted);
  EXPECT_GT(full->summary.retry_after_s, 0);
  ExpectBalanced();
}

TEST_F(RouterCoreTest, WaitsForAPoolWithoutAWorkerAndThenNamesIt) {
  Hello("prefill-0", WorkerRole::kPrefill);
  const auto sink = Submit(1);
  EXPECT_FALSE(sink->ended);
  clock_.Advance(std::chrono::seconds(11));
  core_.Tick(clock_.Now());
  ASSERT_TRUE(sink->ended);
  EXPECT_EQ(sink->summary.status.code(), StatusCode::kUnavailable);
  EXPECT_NE(sink->summary.status.message().find("decode"), absl::string_view::npos);
}

TEST_F(RouterCoreTest, EndsEveryRequestOnceUnderRandomEvents) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 rng(seed);
    std::vector<std::shared_ptr<Sink>> sinks;
    BothReady();
    const uint64_t first = 1000 * seed;
    for (int step = 0; step < 300; ++step) {
      const uint64_t id = first + rng() % (sinks.size() + 1);
      const WorkerId worker = rng() % 2 ? "prefill-0" : "decode-0";
      switch (rng() % 8) {
        case 0:
          sinks.push_back(Submit(first + sinks.size(), 1 + rng() % 110));
          break;
        case 1:
          core_.Cancel({id}, rng() % 2 ? std::optional<uint32_t>(0) : std::nullopt, CancelReason::kStopString,
                       rng() % 5, clock_.Now());
          break;
        case 2:
          core_.OnLost(worker, absl::UnavailableError("planted"), clock_.Now());
          break;
        case 3:
          BothReady();
          break;
        case 4: {
          FromWorker m;
          m.ended.emplace_back();
          m.ended[0].request = {id};
          m.ended[0].epoch = 1;
          m.ended[0].handed_off = worker == "prefill-0" && rng() % 2;
          core_.OnMessage(worker, std::move(m), clock_.Now());
          break;
        }
        default:
          core_.OnMessage(worker, Token(id, rng() % 4, rng() % 2), clock_.Now());
      }
      clock_.Advance(std::chrono::milliseconds(rng() % 300));
      ExpectBalanced();
    }
    core_.EndAll(absl::UnavailableError("the end"), clock_.Now());
    for (const auto& s : sinks) EXPECT_TRUE(s->ended) << "seed " << seed;
    EXPECT_EQ(core_.Snapshot().requests.active, 0u);
    EXPECT_EQ(core_.Snapshot().metrics.waiting + core_.Snapshot().metrics.running, 0);
  }
}

TEST_F(RouterCoreTest, WaitsForAWorkerThatIsDueBackAndForNoOther) {
  Hello("prefill-0", WorkerRole::kPrefill);
  const auto waits = Submit(1);  // decode-0 is starting
  core_.Tick(clock_.Now());
  EXPECT_FALSE(waits->ended);
  Hello("decode-0", WorkerRole::kDecode);
  core_.Tick(clock_.Now());
  EXPECT_EQ(sent_.size(), 1u);
  FromWorker report;
  report.report.emplace().role = WorkerRole::kPrefill;  // by hand: no decode worker is left, and none comes back
  core_.OnMessage("decode-0", std::move(report), clock_.Now());
  const auto refused = Submit(2);
  core_.Tick(clock_.Now());
  ASSERT_TRUE(refused->ended);
  EXPECT_EQ(refused->summary.status.code(), StatusCode::kUnavailable);
  EXPECT_NE(std::string(refused->summary.status.message()).find("decode pool"), std::string::npos);
}

TEST_F(RouterCoreTest, ARoleThatIsNotTakenIsAnErrorInTime) {
  BothReady();
  std::vector<Status> heard;
  const auto done = [&](Status s) { heard.push_back(std::move(s)); };
  core_.SetRole("prefill-0", WorkerRole::kMixed, done, clock_.Now());
  core_.SetRole("decode-0", WorkerRole::kMixed, done, clock_.Now());
  core_.SetRole("nobody", WorkerRole::kMixed, done, clock_.Now());
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].code(), StatusCode::kNotFound);
  core_.OnLost("decode-0", absl::UnavailableError("gone"), clock_.Now());
  clock_.Advance(std::chrono::seconds(9));
  core_.Tick(clock_.Now());
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(heard[1].code(), StatusCode::kUnavailable);
  clock_.Advance(std::chrono::seconds(2));
  core_.Tick(clock_.Now());
  ASSERT_EQ(heard.size(), 3u);
  EXPECT_EQ(heard[2].code(), StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace tokenworks::router
