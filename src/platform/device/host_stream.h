// SPDX-License-Identifier: Apache-2.0
// A stream of the device that is the host: a thread that does one thing after the other.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/simt/work_queue.h"

namespace tokenworks::device {

// Thread-safe but for captures, which belong to one thread.
class HostStream final : public simt::WorkQueue {
 public:
  using Work = std::function<void()>;
  // `late`: starts nothing before somebody waits for it, as a device that is busy elsewhere would.
  explicit HostStream(bool late) : late_(late), thread_([this] { Run(); }) {}
  ~HostStream() override;  // after all that was enqueued

  void Enqueue(Work work) override;
  // How much was enqueued until now; what Wait takes.
  uint64_t enqueued() const;
  void Wait(uint64_t count);

  // From here on Enqueue only records; EndCapture says what.
  void BeginCapture() { capturing_ = true; }
  std::vector<Work> EndCapture();

 private:
  void Run();

  const bool late_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  uint64_t enqueued_ = 0, done_ = 0, wanted_ = 0;
  bool ending_ = false, capturing_ = false;
  std::vector<Work> captured_;
  std::thread thread_;  // last: it uses all others
};

}  // namespace tokenworks::device
