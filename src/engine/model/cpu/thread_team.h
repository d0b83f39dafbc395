// SPDX-License-Identifier: Apache-2.0
// A fixed team of threads that runs one function together, with barriers inside.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace tokenworks::model::cpu {

// The caller of Run is member 0. Waiting spins for at most 20 us, then sleeps on a futex:
// oversubscribed barriers cost milliseconds otherwise (research note cpu.md 6.10).
class ThreadTeam {
 public:
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return threads_; }
  // Runs work(member) on every member; returns when all are done.
  void Run(const std::function<void(int)>& work);
  // Inside `work`: all members arrive before any goes on.
  void Barrier();

 private:
  void Loop(int member);

  const int threads_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<uint32_t> started_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<uint32_t> arrived_{0};
  std::atomic<uint32_t> phase_{0};
  std::vector<std::thread> members_;
};

}  // namespace tokenworks::model::cpu
