// SPDX-License-Identifier: Apache-2.0
// A worker with its threads around a scripted executor: the executor has its next step while it computes one.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "engine/model/scripted/scripted_executor.h"
#include "worker/worker.h"

namespace tokenworks::worker {
namespace {

using model::scripted::ScriptedExecutor;
using model::scripted::ScriptedOptions;

TokenId Script(SequenceId s, int position) {
  return static_cast<TokenId>(10 + (s.request.value * 97 + static_cast<uint64_t>(position) * 13) % 900);
}

// Counts what is in flight; refuses the plan of one number.
class Watched final : public Executor {
 public:
  Watched(int depth, uint64_t refused) : refused_(refused) {
    ScriptedOptions options;
    options.script = Script;
    options.depth = depth;
    inner_ = std::move(*ScriptedExecutor::Create(options));
  }
  const ExecutorInfo& info() const override { return inner_->info(); }
  void SetLayerGroupListener(LayerGroupListener listener) override {
    inner_->SetLayerGroupListener(std::move(listener));
  }
  Status Submit(StepPlan plan) override {
    if (plan.id == refused_) return absl::InternalError("planted");
    for (const StepItem& item : plan.items) pending += item.tokens[0] == kPendingToken;
    most_in_flight = std::max(most_in_flight, ++in_flight_);
    return inner_->Submit(std::move(plan));
  }
  StatusOr<StepResult> Collect() override {
    --in_flight_;
    StatusOr<StepResult> result = inner_->Collect();
    if (result.ok() && result->plan >= lost_from) return absl::DataLossError("an illegal address");
    return result;
  }
  Status CopyBlocksOut(std::span<const BlockId> blocks, int first, int layers,
                       std::span<std::byte> out) const override {
    return inner_->CopyBlocksOut(blocks, first, layers, out);
  }
  Status CopyBlocksIn(std::span<const BlockId> blocks, int first, int layers, std::span<const std::byte> in) override {
    return inner_->CopyBlocksIn(blocks, first, layers, in);
  }
  int most_in_flight = 0, pending = 0;  // read when the worker has stopped
  uint64_t lost_from = UINT64_MAX;      // results of plans from this one on are DataLoss

 private:
  std::unique_ptr<ScriptedExecutor> inner_;
  const uint64_t refused_;
  int in_flight_ = 0;
};

// What a worker says, gathered until `count` requests have ended.
class Heard {
 public:
  void Take(FromWorker message) {
    std::lock_guard lock(mutex_);
    for (const TokenDelta& d : message.deltas)
      for (const SampledToken& t : d.tokens) tokens_[d.request].push_back(t.token);
    for (const RequestEnded& e : message.ended) ended_[e.request] = e.status;
    changed_.notify_all();
  }
  void WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_.size() >= count; });
  }
  size_t Ended() {
    std::lock_guard lock(mutex_);
    return ended_.size();
  }
  std::map<RequestId, std::vector<TokenId>> tokens_;
  std::map<RequestId, Status> ended_;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

GenerationRequest Request(uint64_t id, int prompt, int max_tokens) {
  GenerationRequest r;
  r.id.value = id;
  r.n = 1;
  for (int i = 0; i < prompt; ++i) r.prompt.push_back(3 + (i * 7 + static_cast<int>(id)) % 500);
  r.sampling.max_tokens = max_tokens;
  r.deadline = TimePoint::max();
  return r;
}

TEST(WorkerThreads, AnExecutorOfDepthTwoHasItsNextStepWhileItComputesOne) {
  for (const int depth : {1, 2}) {
    Heard heard;
    auto executor = std::make_unique<Watched>(depth, 0);
    const Watched& watched = *executor;
    auto worker = Worker::Create({.id = "w"}, std::move(executor), nullptr,
                                 [&](FromWorker message) { heard.Take(std::move(message)); });
    ASSERT_TRUE(worker.ok()) << worker.status();
    for (uint64_t id = 1; id <= 6; ++id)
      (*worker)->Post(Assign{Request(id, 30 * static_cast<int>(id), 20), Route::kLocal, {}});
    heard.WaitFor(6);
    (*worker)->Stop();
    for (uint64_t id = 1; id <= 6; ++id) {
      EXPECT_TRUE(heard.ended_[{id}].ok()) << heard.ended_[{id}];
      ASSERT_EQ(heard.tokens_[{id}].size(), 20u);
      for (int p = 0; p < 20; ++p) EXPECT_EQ(heard.tokens_[{id}][p], Script({{id}, 0}, p)) << id << " at " << p;
    }
    EXPECT_EQ(watched.most_in_flight, depth);
    EXPECT_EQ(watched.pending > 0, depth == 2);
  }
}

TEST(WorkerThreads, APlanThatIsRefusedFailsItsRequestsAfterTheResultsBeforeIt) {
  Heard heard;
  auto worker = Worker::Create({.id = "w"}, std::make_unique<Watched>(2, 4), nullptr,
                               [&](FromWorker message) { heard.Take(std::move(message)); });
  ASSERT_TRUE(worker.ok()) << worker.status();
  (*worker)->Post(Assign{Request(1, 20, 30), Route::kLocal, {}});
  heard.WaitFor(1);
  EXPECT_EQ(heard.ended_[{1}].code(), StatusCode::kInternal);
  EXPECT_EQ(heard.tokens_[{1}].size(), 3u) << "three plans drew a token each";
  (*worker)->Post(Assign{Request(2, 20, 5), Route::kLocal, {}});
  heard.WaitFor(2);
  (*worker)->Stop();
  EXPECT_TRUE(heard.ended_[{2}].ok()) << heard.ended_[{2}];
  EXPECT_EQ(heard.tokens_[{2}].size(), 5u);
}

TEST(WorkerThreads, ALostDeviceIsSaidOnceAfterItsRequestsHaveFailed) {
  Heard heard;
  auto executor = std::make_unique<Watched>(2, 0);
  executor->lost_from = 5;
  WorkerOptions options{.id = "w"};
  std::atomic<int> said = 0;
  std::atomic<size_t> ended = 0;
  options.on_lost = [&](const Status& status) {
    EXPECT_EQ(status.message(), "an illegal address");
    ended = heard.Ended();
    ++said;
  };
  auto worker = Worker::Create(std::move(options), std::move(executor), nullptr,
                               [&](FromWorker message) { heard.Take(std::move(message)); });
  ASSERT_TRUE(worker.ok()) << worker.status();
  (*worker)->Post(Assign{Request(1, 20, 30), Route::kLocal, {}});
  heard.WaitFor(1);
  (*worker)->Post(Cancel{{1}, 0, std::nullopt, CancelReason::kAborted});  // whatever comes after
  (*worker)->Post(SetRole{WorkerRole::kParked});
  while (said == 0) std::this_thread::yield();
  (*worker)->Stop();
  EXPECT_EQ(said, 1);
  EXPECT_EQ(ended, 1u) << "said before the request had failed";
  EXPECT_EQ(heard.ended_[{1}].code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tokenworks::worker
