// SPDX-License-Identifier: Apache-2.0
// A worker in the router's own process (`serve`).
#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "tokenworks/worker_link.h"

namespace tokenworks::router {

// Send calls `to_worker` on the router's thread; it must not block nor call back (post to the control thread).
// The worker's thread calls Deliver, hello first. Pausing is ignored: one process shares one fate.
class LocalWorkerLink final : public WorkerLink {
 public:
  explicit LocalWorkerLink(std::function<void(ToWorker)> to_worker) : to_worker_(std::move(to_worker)) {}

  void Start(Events events) override {
    std::lock_guard lock(mutex_);
    events_ = std::move(events);
  }
  void Stop() override {
    std::lock_guard lock(mutex_);
    events_ = {};
  }
  void Send(ToWorker message) override { to_worker_(std::move(message)); }

  // Dropped before Start and after Stop.
  void Deliver(FromWorker message) {
    std::lock_guard lock(mutex_);
    if (events_.message) events_.message(std::move(message));
  }

 private:
  std::function<void(ToWorker)> to_worker_;
  std::mutex mutex_;
  Events events_;
};

}  // namespace tokenworks::router
