// SPDX-License-Identifier: Apache-2.0
// Reads a GPU on a thread of its own: a call of the management library takes longer than a decode step.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "platform/nvml/nvml.h"
#include "tokenworks/clock.h"

namespace tokenworks::nvml {

class GpuMonitor {
 public:
  // Waits `every` between two readings (default: less than 5 a second).
  explicit GpuMonitor(Gpu gpu, Duration every = std::chrono::milliseconds(250));
  ~GpuMonitor();

  // The latest reading; empty before the first. Any thread, never waits for the library.
  GpuReading Latest() const;

 private:
  void Run();

  const Gpu gpu_;
  const Duration every_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  GpuReading latest_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tokenworks::nvml
