// SPDX-License-Identifier: Apache-2.0
// One thread that runs what is posted, in order, and a tick (if there is one) at most every second.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace tokenworks::base {

class TaskThread {
 public:
  explicit TaskThread(std::function<void()> tick = nullptr) : tick_(std::move(tick)), thread_([this] { Run(); }) {}
  ~TaskThread() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void Post(std::function<void()> task) {
    {
      std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }

 private:
  void Run() {
    auto ticked = std::chrono::steady_clock::time_point();
    while (true) {
      std::deque<std::function<void()>> batch;
      {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(1), [&] { return stopping_ || !tasks_.empty(); });
        if (stopping_ && tasks_.empty()) return;
        batch.swap(tasks_);
      }
      for (auto& task : batch) task();
      const auto now = std::chrono::steady_clock::now();
      if (now - ticked < std::chrono::seconds(1)) continue;
      ticked = now;
      if (tick_) tick_();
    }
  }

  const std::function<void()> tick_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tokenworks::base
