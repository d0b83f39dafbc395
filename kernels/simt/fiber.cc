// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/fiber.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace tokenworks::simt {
namespace {

constexpr size_t kStackBytes = 128 * 1024;
constexpr int kMaxThreads = 1024;

// Saves the callee-saved registers on the stack and changes stacks: about 30 times faster than swapcontext.
#if defined(__x86_64__)
extern "C" void tw_simt_switch(void** save, void* load);
asm(R"(
.text
.globl tw_simt_switch
.type tw_simt_switch,@function
tw_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tw_simt_switch,.-tw_simt_switch
)");
struct Context {
  void* stack_pointer = nullptr;
};
void Switch(Context& from, Context& to) { tw_simt_switch(&from.stack_pointer, to.stack_pointer); }
void Prepare(Context& c, char* stack, void (*entry)()) {
  void** top = reinterpret_cast<void**>(stack + kStackBytes) - 1;  // entry sees a stack as after a call: 8 modulo 16
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  c.stack_pointer = top;
}
#else
struct Context {
  ucontext_t context;
};
void Switch(Context& from, Context& to) { swapcontext(&from.context, &to.context); }
void Prepare(Context& c, char* stack, void (*entry)()) {
  getcontext(&c.context);
  c.context.uc_stack.ss_sp = stack;
  c.context.uc_stack.ss_size = kStackBytes;
  c.context.uc_link = nullptr;
  makecontext(&c.context, entry, 0);
}
#endif

struct PendingCopy {
  void* shared;
  const void* global;
  bool valid;
  unsigned group;
};

struct Fiber {
  Context context;
  ThreadState state;
  const uint64_t* waits_on = nullptr;  // a barrier's generation
  uint64_t waits_for_change_of = 0;
  bool done = false;
  unsigned copy_group = 0;
  std::deque<PendingCopy> copies;
};

struct Barrier {
  uint64_t generation = 0;
  int arrived = 0;
};

// Everything of the grid that runs on this OS thread.
struct Machine {
  char* stacks = nullptr;
  std::vector<Fiber> fibers;
  std::vector<Barrier> warps;
  std::vector<LaneSlot> slots;
  Barrier block;
  Context scheduler;
  Fiber* current = nullptr;
  int alive = 0;
  std::unique_ptr<unsigned char[]> shared;
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
  std::mt19937_64 order{0};
  ~Machine() {
    if (!stacks) return;
#if defined(__SANITIZE_ADDRESS__)
    // What is mapped here next must not be taken for frames that once were.
    __asan_unpoison_memory_region(stacks, kStackBytes * kMaxThreads);
#endif
    munmap(stacks, kStackBytes * kMaxThreads);
  }
};
thread_local Machine machine;

void SwitchStacks(Context& from, Context& to, [[maybe_unused]] const void* stack, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, stack, bytes);
  Switch(from, to);
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
  Switch(from, to);
#endif
}

#if defined(__SANITIZE_ADDRESS__)
thread_local const void* scheduler_stack;
thread_local size_t scheduler_stack_bytes;
#else
constexpr const void* scheduler_stack = nullptr;
constexpr size_t scheduler_stack_bytes = 0;
#endif

void Yield() { SwitchStacks(machine.current->context, machine.scheduler, scheduler_stack, scheduler_stack_bytes); }

void Arrive(Barrier& barrier, int expected) {
  if (++barrier.arrived == expected) {
    barrier.arrived = 0;
    ++barrier.generation;
    return;
  }
  machine.current->waits_on = &barrier.generation;
  machine.current->waits_for_change_of = barrier.generation;
  Yield();
}

void FiberMain() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
  machine.body(machine.argument);
  machine.current->done = true;
  --machine.alive;
  // A thread that has returned counts as arrived.
  if (machine.block.arrived > 0 && machine.block.arrived == machine.alive) {
    machine.block.arrived = 0;
    ++machine.block.generation;
  }
  Yield();
  std::abort();
}

void RunBlock(Grid block, Grid grid, int threads, size_t shared_bytes) {
  machine.shared = std::make_unique<unsigned char[]>(shared_bytes + 1);
  std::memset(machine.shared.get(), 0xff, shared_bytes);
  machine.block = {};
  machine.alive = threads;
  for (Barrier& w : machine.warps) w = {};
  for (int i = 0; i < threads; ++i) {
    Fiber& f = machine.fibers[i];
    f.state = {{static_cast<unsigned>(i), 0, 0}, block, {static_cast<unsigned>(threads), 1, 1}, grid, 0};
    f.waits_on = nullptr;
    f.done = false;
    f.copy_group = 0;
    f.copies.clear();
#if defined(__SANITIZE_ADDRESS__)
    // The stack's last fiber never unwound its frames.
    __asan_unpoison_memory_region(machine.stacks + kStackBytes * i, kStackBytes);
#endif
    Prepare(f.context, machine.stacks + kStackBytes * i, FiberMain);
  }
  std::vector<int> order(threads);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), machine.order);
  while (machine.alive > 0) {
    bool moved = false;
    for (const int i : order) {
      Fiber& f = machine.fibers[i];
      if (f.done || (f.waits_on && *f.waits_on == f.waits_for_change_of)) continue;
      f.waits_on = nullptr;
      machine.current = &f;
      moved = true;
      SwitchStacks(machine.scheduler, f.context, machine.stacks + kStackBytes * i, kStackBytes);
    }
    if (!moved) {
      std::fprintf(stderr, "simt: block (%u %u %u): a barrier that not every thread reaches\n", block.x, block.y,
                   block.z);
      std::abort();
    }
  }
}

}  // namespace

ThreadState& Current() { return machine.current->state; }
unsigned char* SharedMemory() { return machine.shared.get(); }
unsigned Lane() { return machine.current->state.thread.x & 31; }
void BlockBarrier() { Arrive(machine.block, machine.alive); }
void WarpBarrier() { Arrive(machine.warps[machine.current->state.thread.x >> 5], 32); }

LaneSlot* WarpSlots(unsigned exchange) {
  return machine.slots.data() + ((machine.current->state.thread.x >> 5) * 2 + (exchange & 1)) * 32;
}

void AsyncCopy16(void* shared, const void* global, bool valid) {
  Fiber& f = *machine.current;
  f.copies.push_back({shared, global, valid, f.copy_group});
}

void AsyncCopyCommit() { ++machine.current->copy_group; }

void AsyncCopyWait(unsigned groups_left) {
  Fiber& f = *machine.current;
  while (!f.copies.empty() && f.copies.front().group + groups_left < f.copy_group) {
    const PendingCopy& c = f.copies.front();
    if (c.valid)
      std::memcpy(c.shared, c.global, 16);
    else
      std::memset(c.shared, 0, 16);
    f.copies.pop_front();
  }
}

void SetSeed(uint64_t seed) { machine.order.seed(seed); }

void RunGrid(Grid grid, int threads, size_t shared_bytes, void (*body)(void*), void* argument) {
  if (threads <= 0 || threads > kMaxThreads || threads % 32 != 0) {
    std::fprintf(stderr, "simt: %d threads in a block\n", threads);
    std::abort();
  }
  if (!machine.stacks) {
    void* p = mmap(nullptr, kStackBytes * kMaxThreads, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) std::abort();
    machine.stacks = static_cast<char*>(p);
    machine.fibers.resize(kMaxThreads);
    machine.warps.resize(kMaxThreads / 32);
    machine.slots.resize(kMaxThreads * 2);
  }
  machine.body = body;
  machine.argument = argument;
  std::vector<size_t> order(size_t{grid.x} * grid.y * grid.z);
  std::iota(order.begin(), order.end(), size_t{0});
  std::shuffle(order.begin(), order.end(), machine.order);
  for (const size_t i : order)
    RunBlock({static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
              static_cast<unsigned>(i / grid.x / grid.y)},
             grid, threads, shared_bytes);
}

}  // namespace tokenworks::simt
