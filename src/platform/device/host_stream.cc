// SPDX-License-Identifier: Apache-2.0
#include "platform/device/host_stream.h"

#include <algorithm>
#include <utility>

namespace tokenworks::device {

HostStream::~HostStream() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void HostStream::Enqueue(Work work) {
  if (capturing_) return captured_.push_back(std::move(work));
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(work));
  ++enqueued_;
  changed_.notify_all();
}

uint64_t HostStream::enqueued() const {
  std::lock_guard lock(mutex_);
  return enqueued_;
}

void HostStream::Wait(uint64_t count) {
  std::unique_lock lock(mutex_);
  wanted_ = std::max(wanted_, count);
  changed_.notify_all();
  changed_.wait(lock, [&] { return done_ >= count; });
}

std::vector<HostStream::Work> HostStream::EndCapture() {
  capturing_ = false;
  return std::exchange(captured_, {});
}

void HostStream::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ending_ || (!queue_.empty() && (!late_ || done_ < wanted_)); });
    if (queue_.empty()) return;
    const Work work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    lock.lock();
    ++done_;
    changed_.notify_all();
  }
}

}  // namespace tokenworks::device
