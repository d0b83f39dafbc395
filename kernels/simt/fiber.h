// SPDX-License-Identifier: Apache-2.0
// Runs a grid of CUDA threads on the CPU: one block at a time, each thread a fiber. Blocks and fibers run in an order
// shuffled by a seed, so that a missing barrier shows; shared memory starts poisoned; a barrier that some thread never
// reaches ends the program with a sentence.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tokenworks::simt {

struct Grid {
  unsigned x = 1, y = 1, z = 1;
};

// One exchange slot of a lane: what warp functions hand to each other.
struct LaneSlot {
  alignas(16) uint32_t word[8];
};

struct ThreadState {
  Grid thread, block, threads, grid;  // threadIdx, blockIdx, blockDim, gridDim
  unsigned exchange = 0;              // warp functions done so far; picks one of two slots
};

ThreadState& Current();
unsigned char* SharedMemory();
void BlockBarrier();
void WarpBarrier();

// The exchange slots of the calling thread's warp for its current warp function, [32].
LaneSlot* WarpSlots(unsigned exchange);
unsigned Lane();

// Copies deferred until AsyncCopyWait, as cp.async does: reading too early reads poison.
void AsyncCopy16(void* shared, const void* global, bool valid);
void AsyncCopyCommit();
void AsyncCopyWait(unsigned groups_left);

// The order of blocks and fibers from now on, on this OS thread.
void SetSeed(uint64_t seed);

// Runs `body(argument)` in every thread of the grid; returns when all are done. threads is a multiple of 32, <= 1024.
void RunGrid(Grid grid, int threads, size_t shared_bytes, void (*body)(void*), void* argument);

}  // namespace tokenworks::simt
