// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cpu/thread_team.h"

#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tokenworks::model::cpu {
namespace {

constexpr auto kSpin = std::chrono::microseconds(20);

void WaitWhile(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < 200; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
    _mm_pause();
#endif
  }
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  while (std::chrono::steady_clock::now() < deadline) {
    for (int i = 0; i < 50; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
      _mm_pause();
#endif
    }
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadTeam::ThreadTeam(int threads) : threads_(threads) {
  for (int member = 1; member < threads_; ++member) members_.emplace_back([this, member] { Loop(member); });
}

ThreadTeam::~ThreadTeam() {
  stopping_.store(true, std::memory_order_release);
  started_.fetch_add(1, std::memory_order_acq_rel);
  started_.notify_all();
  for (std::thread& member : members_) member.join();
}

void ThreadTeam::Run(const std::function<void(int)>& work) {
  if (threads_ > 1) {
    work_ = &work;
    started_.fetch_add(1, std::memory_order_acq_rel);
    started_.notify_all();
  }
  work(0);
  Barrier();
}

void ThreadTeam::Barrier() {
  if (threads_ == 1) return;
  const uint32_t phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(threads_)) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_acq_rel);
    phase_.notify_all();
  } else {
    WaitWhile(phase_, phase);
  }
}

void ThreadTeam::Loop(int member) {
  uint32_t seen = 0;
  while (true) {
    WaitWhile(started_, seen);
    ++seen;
    if (stopping_.load(std::memory_order_acquire)) return;
    (*work_)(member);
    Barrier();
  }
}

}  // namespace tokenworks::model::cpu
