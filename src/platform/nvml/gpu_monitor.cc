// SPDX-License-Identifier: Apache-2.0
#include "platform/nvml/gpu_monitor.h"

namespace tokenworks::nvml {

GpuMonitor::GpuMonitor(Gpu gpu, Duration every) : gpu_(gpu), every_(every), thread_([this] { Run(); }) {}

GpuMonitor::~GpuMonitor() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

GpuReading GpuMonitor::Latest() const {
  std::lock_guard lock(mutex_);
  return latest_;
}

void GpuMonitor::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const GpuReading reading = gpu_.Read();
    lock.lock();
    latest_ = reading;
    changed_.wait_for(lock, every_, [this] { return stopping_; });
  }
}

}  // namespace tokenworks::nvml
