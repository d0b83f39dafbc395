// SPDX-License-Identifier: Apache-2.0
#include "router/router.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "platform/base/str_cat.h"
#include "router/router_core.h"

namespace tokenworks::router {
namespace {
constexpr auto kTickEvery = std::chrono::milliseconds(100);
constexpr int kInboxMessagesMax = 256;  // of one worker, not yet handled

// What one worker has in the router's inbox.
struct Inbox {
  int messages = 0;
  bool paused = false;
};
}  // namespace

StatusOr<Disaggregate> ParseDisaggregate(std::string_view name) {
  if (name == "always") return Disaggregate::kAlways;
  if (name == "never") return Disaggregate::kNever;
  return absl::InvalidArgumentError(
      base::StrCat("router.disaggregate '", name, "' is not available; use always or never"));
}

struct Router::Shell {
  Shell(RouterOptions options, std::unique_ptr<PlacementPolicy> policy)
      : core(std::move(options), std::move(policy), [this](const WorkerId& worker, ToWorker message) {
          if (const auto it = links.find(worker); it != links.end()) it->second->Send(std::move(message));
        }) {
    std::random_device random;
    next_id = ((static_cast<uint64_t>(random()) & 0xFFFFFF) << 40) + 1;
    noise.seed((static_cast<uint64_t>(random()) << 32) ^ random());
    thread = std::thread([this] { Loop(); });
  }

  void Post(std::function<void()> task) {
    std::lock_guard lock(mutex);
    tasks.push_back(std::move(task));
    changed.notify_one();
  }

  // False when this worker's share of the inbox is full: its link pauses until half of it is done.
  bool PostFromWorker(const WorkerId& worker, FromWorker message) {
    std::lock_guard lock(mutex);
    Inbox& inbox = inboxes[worker];
    tasks.push_back([this, worker, &inbox, m = std::make_shared<FromWorker>(std::move(message))] {
      core.OnMessage(worker, std::move(*m), Now());
      if (TookFrom(inbox)) links.at(worker)->Resume();
    });
    changed.notify_one();
    inbox.paused = ++inbox.messages >= kInboxMessagesMax;
    return !inbox.paused;
  }

  bool TookFrom(Inbox& inbox) {
    std::lock_guard lock(mutex);
    --inbox.messages;
    return inbox.messages <= kInboxMessagesMax / 2 && std::exchange(inbox.paused, false);
  }

  void Loop() {
    TimePoint ticked{};
    while (true) {
      std::deque<std::function<void()>> batch;
      {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, kTickEvery, [&] { return stopping || !tasks.empty(); });
        if (stopping && tasks.empty()) return;
        batch.swap(tasks);
      }
      for (auto& task : batch) task();
      const TimePoint now = Now();
      if (now - ticked >= kTickEvery) core.Tick(ticked = now);
    }
  }

  static TimePoint Now() { return std::chrono::steady_clock::now(); }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
  std::map<WorkerId, Inbox> inboxes;  // under mutex; entries stay
  bool stopping = false;
  std::map<WorkerId, std::unique_ptr<WorkerLink>> links;  // router thread
  std::string http, grpc;                                 // router thread
  std::atomic<uint64_t> next_id;
  std::mt19937_64 noise;  // router thread
  RouterCore core;
  std::thread thread;
};

Router::Router(std::unique_ptr<Shell> shell) : shell_(std::move(shell)) {}

StatusOr<std::unique_ptr<Router>> Router::Create(RouterOptions options) {
  TW_ASSIGN_OR_RETURN(auto policy, MakePolicy(options.policy, std::random_device()()));
  return std::unique_ptr<Router>(new Router(std::make_unique<Shell>(std::move(options), std::move(policy))));
}

Router::~Router() {
  std::promise<void> ended;
  shell_->Post([&] {
    shell_->core.EndAll(absl::UnavailableError("the server is shutting down"), Shell::Now());
    ended.set_value();
  });
  ended.get_future().wait();
  for (auto& [id, link] : shell_->links) link->Stop();
  {
    std::lock_guard lock(shell_->mutex);
    shell_->stopping = true;
    shell_->changed.notify_one();
  }
  shell_->thread.join();
}

Status Router::AddWorkerLink(WorkerId worker, WorkerRole role, std::unique_ptr<WorkerLink> link) {
  WorkerLink* raw = link.get();
  Shell* shell = shell_.get();
  shell->Post([shell, worker, role, link = std::make_shared<std::unique_ptr<WorkerLink>>(std::move(link))] {
    shell->core.AddWorker(worker, role);
    shell->links[worker] = std::move(*link);
  });
  WorkerLink::Events events;
  events.message = [shell, worker](FromWorker message) { return shell->PostFromWorker(worker, std::move(message)); };
  events.lost = [shell, worker](Status status) {
    shell->Post([shell, worker, status] { shell->core.OnLost(worker, status, Shell::Now()); });
  };
  raw->Start(std::move(events));
  return OkStatus();
}

RequestId Router::Submit(GenerationRequest request, std::shared_ptr<TokenSink> sink, SeedSource seed) {
  request.id.value = shell_->next_id.fetch_add(1);
  request.epoch = 1;
  const RequestId id = request.id;
  shell_->Post([shell = shell_.get(), r = std::make_shared<GenerationRequest>(std::move(request)),
                sink = std::move(sink), seed] {
    if (seed == SeedSource::kDraw) r->sampling.seed = shell->noise();
    shell->core.Submit(std::move(*r), sink, Shell::Now());
  });
  return id;
}

void Router::Cancel(RequestId id, std::optional<uint32_t> sequence, CancelReason reason, uint32_t kept_tokens) {
  shell_->Post([shell = shell_.get(), id, sequence, reason, kept_tokens] {
    shell->core.Cancel(id, sequence, reason, kept_tokens, Shell::Now());
  });
}

void Router::SetRole(WorkerId worker, WorkerRole role, std::function<void(Status)> done) {
  shell_->Post([shell = shell_.get(), worker, role, done = std::move(done)] {
    shell->core.SetRole(worker, role, done, Shell::Now());
  });
}

void Router::SetAddresses(std::string http, std::string grpc) {
  shell_->Post([shell = shell_.get(), http, grpc] { shell->http = http, shell->grpc = grpc; });
}

void Router::GetStatus(std::function<void(ClusterStatus)> done) {
  shell_->Post([shell = shell_.get(), done = std::move(done)] {
    ClusterStatus status = shell->core.Snapshot();
    status.http = shell->http;
    status.grpc = shell->grpc;
    done(std::move(status));
  });
}

}  // namespace tokenworks::router
