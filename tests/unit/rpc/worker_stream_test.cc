// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "platform/rpc/worker_stream_client.h"
#include "platform/rpc/worker_stream_service.h"

namespace tokenworks::rpc {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);

// Collects what either side hears and waits for it.
class Heard {
 public:
  void Add(std::string what) {
    std::lock_guard lock(mutex_);
    all_.push_back(std::move(what));
    changed_.notify_all();
  }
  bool WaitFor(const std::string& what, size_t times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience,
                             [&] { return static_cast<size_t>(std::count(all_.begin(), all_.end(), what)) >= times; });
  }
  std::vector<std::string> all() {
    std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

class WorkerStream : public testing::Test {
 protected:
  WorkerStream() {
    std::string name = testing::TempDir() + "tw-stream-XXXXXX";
    folder_ = mkdtemp(name.data());
    path_ = folder_ + "/w.sock";
  }
  ~WorkerStream() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<WorkerStreamServer> Serve(Incarnation incarnation) {
    auto server = WorkerStreamServer::Start(
        path_, {[incarnation] {
                  WorkerHello h;
                  h.worker = "w";
                  h.incarnation = incarnation;
                  return h;
                },
                [this](ToWorker m) { at_worker_.Add("cancel " + std::to_string(std::get<Cancel>(m).request.value)); }});
    EXPECT_TRUE(server.ok()) << server.status();
    return std::move(*server);
  }
  WorkerLink::Events Events(Heard& heard, bool pausing = false) {
    return {[&heard, pausing](FromWorker m) {
              if (m.hello) heard.Add("hello " + std::to_string(m.hello->incarnation));
              for (const TokenDelta& d : m.deltas) heard.Add("token " + std::to_string(d.position));
              return !pausing;
            },
            [&heard](Status) { heard.Add("lost"); }};
  }
  static FromWorker Token(uint32_t position) {
    FromWorker m;
    TokenDelta d;
    d.position = position;
    m.deltas.push_back(d);
    return m;
  }

  std::string folder_, path_;
  Heard at_router_, at_worker_;
};

TEST_F(WorkerStream, HelloFirstThenBothWaysInOrder) {
  auto server = Serve(1);
  WorkerStreamClient client({path_});
  client.Start(Events(at_router_));
  ASSERT_TRUE(at_router_.WaitFor("hello 1"));
  for (uint64_t i = 0; i < 200; ++i) client.Send(Cancel{{i}, 1, std::nullopt, CancelReason::kAborted});
  for (uint32_t i = 0; i < 200; ++i) server->Send(Token(i));
  ASSERT_TRUE(at_router_.WaitFor("token 199"));
  ASSERT_TRUE(at_worker_.WaitFor("cancel 199"));
  const auto tokens = at_router_.all();
  const auto cancels = at_worker_.all();
  ASSERT_EQ(tokens.size(), 201u);
  ASSERT_EQ(cancels.size(), 200u);
  for (size_t i = 0; i < 200; ++i) {
    EXPECT_EQ(tokens[i + 1], "token " + std::to_string(i));
    EXPECT_EQ(cancels[i], "cancel " + std::to_string(i));
  }
}

TEST_F(WorkerStream, ARestartedWorkerIsFoundAgain) {
  WorkerStreamClient client({path_});
  client.Start(Events(at_router_));  // nobody listens yet
  auto server = Serve(1);
  ASSERT_TRUE(at_router_.WaitFor("hello 1"));
  server.reset();
  ASSERT_TRUE(at_router_.WaitFor("lost"));
  server = Serve(2);
  ASSERT_TRUE(at_router_.WaitFor("hello 2"));
  EXPECT_EQ(at_router_.all(), (std::vector<std::string>{"hello 1", "lost", "hello 2"}));
}

TEST_F(WorkerStream, ANewerRouterTakesTheStream) {
  auto server = Serve(1);
  Heard second;
  WorkerStreamClient old_router({path_, std::chrono::hours(1)}), new_router({path_});
  old_router.Start(Events(at_router_));
  ASSERT_TRUE(at_router_.WaitFor("hello 1"));
  new_router.Start(Events(second));
  ASSERT_TRUE(second.WaitFor("hello 1"));
  ASSERT_TRUE(at_router_.WaitFor("lost"));
  server->Send(Token(5));
  ASSERT_TRUE(second.WaitFor("token 5"));
  EXPECT_EQ(at_router_.all().size(), 2u);
}

TEST_F(WorkerStream, APausedLinkHandsOutNothingUntilResume) {
  auto server = Serve(1);
  WorkerStreamClient client({path_});
  client.Start(Events(at_router_, true));
  ASSERT_TRUE(at_router_.WaitFor("hello 1"));
  server->Send(Token(0));
  client.Send(Cancel{{1}, 1, std::nullopt, CancelReason::kAborted});
  ASSERT_TRUE(at_worker_.WaitFor("cancel 1"));  // the other direction goes on
  EXPECT_EQ(at_router_.all().size(), 1u);
  client.Resume();
  ASSERT_TRUE(at_router_.WaitFor("token 0"));
}

TEST_F(WorkerStream, StoppingEndsAPausedLinkAtOnce) {
  auto server = Serve(1);
  WorkerStreamClient client({path_});
  client.Start(Events(at_router_, true));
  ASSERT_TRUE(at_router_.WaitFor("hello 1"));
  client.Stop();
  EXPECT_EQ(at_router_.all().size(), 1u) << "no event after Stop";
}

TEST_F(WorkerStream, APathThatIsTooLongIsRefused) {
  const auto server =
      WorkerStreamServer::Start(folder_ + "/" + std::string(200, 'x'), {[] { return WorkerHello(); }, [](ToWorker) {}});
  EXPECT_EQ(server.status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace tokenworks::rpc
