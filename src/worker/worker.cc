// SPDX-License-Identifier: Apache-2.0
#include "worker/worker.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "worker/worker_core.h"

namespace tokenworks::worker {
namespace {

constexpr auto kTickEvery = std::chrono::seconds(1);  // deadlines are some seconds long

struct StepDone {
  uint64_t plan;
  StatusOr<StepResult> result;
};
struct LayerGroupDone {
  uint64_t plan;
  int group;
};
struct PeerConnected {
  std::shared_ptr<PeerLink> link;
};
struct PeerSaid {
  std::shared_ptr<PeerLink> link;
  kv_transfer::PeerMessage message;
};
struct PeerGone {
  std::shared_ptr<PeerLink> link;
};
using Event = std::variant<ToWorker, StepDone, LayerGroupDone, PeerConnected, PeerSaid, PeerGone>;

Incarnation DrawIncarnation() {
  return static_cast<Incarnation>(std::chrono::steady_clock::now().time_since_epoch().count()) ^
         (static_cast<Incarnation>(getpid()) << 40);
}

}  // namespace

// The control thread owns the core; the engine thread owns the executor's steps; the mutex guards the two queues.
class Worker::Impl {
 public:
  Impl(WorkerOptions options, std::unique_ptr<Executor> executor, std::unique_ptr<kv_transfer::Transport> transport,
       Emit emit)
      : executor_(std::move(executor)),
        transport_(std::move(transport)),
        emit_(std::move(emit)),
        core_(options, *executor_, transport_.get(),
              [this](const std::shared_ptr<PeerLink>& link) { StartLink(link); }),
        hello_(core_.Hello()),
        role_(options.role),
        on_lost_(options.on_lost) {
    executor_->SetLayerGroupListener([this](uint64_t plan, int group) { PostEvent(LayerGroupDone{plan, group}); });
    control_ = std::thread([this] { Control(); });
    engine_ = std::thread([this] { Engine(); });
  }

  Status Listen(const std::string& path) {
    if (path.empty() || transport_ == nullptr) return OkStatus();
    return transport_->Listen(path, [this](std::shared_ptr<kv_transfer::PeerConnection> connection) {
      auto link = std::make_shared<PeerLink>();
      link->connection = std::move(connection);
      PostEvent(PeerConnected{std::move(link)});
    });
  }

  void PostEvent(Event event) {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    events_.push_back(std::move(event));
    changed_.notify_all();
  }

  WorkerHello Hello() const {
    WorkerHello hello = hello_;
    hello.role = role_;
    return hello;
  }

  void Stop() {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
      changed_.notify_all();
    }
    control_.join();
    engine_.join();
    if (transport_) transport_->StopListening();
  }

 private:
  void StartLink(const std::shared_ptr<PeerLink>& link) {
    std::weak_ptr<PeerLink> weak = link;
    link->connection->Start({[this, weak](kv_transfer::PeerMessage message) {
                               if (auto l = weak.lock()) PostEvent(PeerSaid{std::move(l), std::move(message)});
                             },
                             [this, weak] {
                               if (auto l = weak.lock()) PostEvent(PeerGone{std::move(l)});
                             }});
  }

  void Handle(Event& event, TimePoint now) {
    if (auto* done = std::get_if<StepDone>(&event)) {
      if (done->result.status().code() == StatusCode::kDataLoss && lost_.ok()) lost_ = done->result.status();
      core_.OnStepDone(done->plan, done->result, now);
    } else if (const auto* group = std::get_if<LayerGroupDone>(&event)) {
      core_.OnLayerGroup(group->plan, group->group, now);
    } else if (auto* connected = std::get_if<PeerConnected>(&event)) {
      core_.OnPeerConnected(std::move(connected->link));
    } else if (const auto* said = std::get_if<PeerSaid>(&event)) {
      core_.OnPeerMessage(said->link, said->message, now);
    } else if (const auto* gone = std::get_if<PeerGone>(&event)) {
      core_.OnPeerClosed(gone->link, now);
    } else {
      auto& message = std::get<ToWorker>(event);
      if (const auto* role = std::get_if<SetRole>(&message)) role_ = role->role;
      core_.OnRouter(std::move(message), now);
    }
  }

  void Control() {
    while (true) {
      std::deque<Event> events;
      {
        std::unique_lock lock(mutex_);
        const TimePoint until = std::min(core_.report_at(), std::chrono::steady_clock::now() + kTickEvery);
        changed_.wait_until(lock, until, [&] { return stopping_ || !events_.empty(); });
        if (stopping_) return;
        events.swap(events_);
      }
      const TimePoint now = std::chrono::steady_clock::now();
      for (Event& event : events) Handle(event, now);
      core_.Tick(now);
      const auto results = std::count_if(events.begin(), events.end(),
                                         [](const Event& e) { return std::holds_alternative<StepDone>(e); });
      while (lost_.ok()) {
        auto plan = core_.NextPlan(now);
        if (!plan) break;
        std::lock_guard lock(mutex_);
        plans_.push_back(std::move(*plan));
        changed_.notify_all();
      }
      if (results > 0) {
        std::lock_guard lock(mutex_);
        unanswered_ -= static_cast<int>(results);
        changed_.notify_all();
      }
      if (auto message = core_.TakeOutput(now)) emit_(std::move(*message));
      if (!lost_.ok() && on_lost_ && core_.steps_in_flight() == 0) std::exchange(on_lost_, nullptr)(lost_);
    }
  }

  // Submits what is planned before it waits for a result, and lets the control thread answer a result before it waits
  // for the next: so the executor has its next step while it computes one, where its depth allows.
  void Engine() {
    std::deque<uint64_t> submitted;
    while (true) {
      std::optional<StepPlan> plan;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || !plans_.empty() || (!submitted.empty() && unanswered_ == 0); });
        if (stopping_) return;
        if (!plans_.empty()) {
          plan = std::move(plans_.front());
          plans_.pop_front();
        }
      }
      if (!plan) {
        std::deque<Event> result;
        result.push_back(StepDone{submitted.front(), executor_->Collect()});
        submitted.pop_front();
        PostResults(std::move(result));
        continue;
      }
      const uint64_t id = plan->id;
      const Status status = executor_->Submit(std::move(*plan));
      if (status.ok()) {
        submitted.push_back(id);
        continue;
      }
      // Results are told in order, and together: nothing may be planned upon the earlier ones without the refusal.
      std::deque<Event> results;
      for (; !submitted.empty(); submitted.pop_front())
        results.push_back(StepDone{submitted.front(), executor_->Collect()});
      results.push_back(StepDone{id, status});
      PostResults(std::move(results));
    }
  }

  void PostResults(std::deque<Event> results) {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    unanswered_ += static_cast<int>(results.size());
    for (Event& result : results) events_.push_back(std::move(result));
    changed_.notify_all();
  }

  const std::unique_ptr<Executor> executor_;
  const std::unique_ptr<kv_transfer::Transport> transport_;
  const Emit emit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  std::deque<StepPlan> plans_;
  int unanswered_ = 0;  // results that the control thread has not planned upon yet
  bool stopping_ = false;
  WorkerCore core_;
  const WorkerHello hello_;
  std::atomic<WorkerRole> role_;
  std::function<void(const Status&)> on_lost_;
  Status lost_;
  std::thread control_, engine_;
};

Worker::Worker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Worker::~Worker() { Stop(); }

StatusOr<std::unique_ptr<Worker>> Worker::Create(WorkerOptions options, std::unique_ptr<Executor> executor,
                                                 std::unique_ptr<kv_transfer::Transport> transport, Emit emit) {
  if (options.incarnation == 0) options.incarnation = DrawIncarnation();
  const std::string path = options.peer_socket_path;
  std::unique_ptr<Worker> worker(new Worker(
      std::make_unique<Impl>(std::move(options), std::move(executor), std::move(transport), std::move(emit))));
  TW_RETURN_IF_ERROR(worker->impl_->Listen(path));
  return worker;
}

void Worker::Post(ToWorker message) { impl_->PostEvent(std::move(message)); }
WorkerHello Worker::hello() const { return impl_->Hello(); }
void Worker::Stop() { impl_->Stop(); }

}  // namespace tokenworks::worker
