// SPDX-License-Identifier: Apache-2.0
// What a block of 1024 threads does together: sums, prefix sums, the first index, a sorted list. Every sum has a fixed order.
// Each function begins with a barrier, so what a caller wrote before is seen and results of the one before have been read.
#pragma once

#include "kernels/simt/simt.h"

namespace tokenworks::kernels::sampling {

constexpr int kThreads = 1024, kWarps = kThreads / 32, kBins = 2 * kThreads, kList = 2 * kThreads;
constexpr int kNone = 0x7fffffff;

// Shared memory of one block.
struct Shared {
  uint64_t list[kList];
  uint32_t count[kBins], mass[kBins];
  float part[kThreads];
  float warp_float[kWarps];
  int warp_int[kWarps];
  int listed, found_int;
  float found_float;
};

TW_DEVICE int WarpSumInt(int v) {
  TW_UNROLL
  for (int mask = 16; mask > 0; mask >>= 1) v += simt::ShuffleXor(v, mask);
  return v;
}
TW_DEVICE int WarpMin(int v) {
  TW_UNROLL
  for (int mask = 16; mask > 0; mask >>= 1) {
    const int other = simt::ShuffleXor(v, mask);
    v = other < v ? other : v;
  }
  return v;
}
// Sum over this lane and the lanes before it.
template <class T>
TW_DEVICE T WarpScan(T v) {
  TW_UNROLL
  for (int step = 1; step < 32; step <<= 1) {
    const T other = simt::Shuffle(v, static_cast<int>(simt::LaneId()) - step);
    if (static_cast<int>(simt::LaneId()) >= step) v += other;
  }
  return v;
}

// Sum over the threads before this one, and over all; `warps` is warp_float or warp_int.
template <class T>
TW_DEVICE T BlockScan(T* warps, T v, T* total) {
  const T inclusive = WarpScan(v);
  const int lane = simt::LaneId(), warp = threadIdx.x >> 5;
  __syncthreads();
  if (lane == 31) warps[warp] = inclusive;
  __syncthreads();
  const T sums = WarpScan(warps[lane]);
  *total = simt::Shuffle(sums, 31);
  const T warps_before = simt::Shuffle(sums, warp - 1), lanes_before = simt::Shuffle(inclusive, lane - 1);
  return (warp > 0 ? warps_before : T{0}) + (lane > 0 ? lanes_before : T{0});
}

TW_DEVICE float BlockSum(Shared& s, float v) {
  v = simt::WarpSum(v);
  __syncthreads();
  if (simt::LaneId() == 0) s.warp_float[threadIdx.x >> 5] = v;
  __syncthreads();
  return simt::WarpSum(s.warp_float[simt::LaneId()]);
}
TW_DEVICE int BlockMin(Shared& s, int v) {
  v = WarpMin(v);
  __syncthreads();
  if (simt::LaneId() == 0) s.warp_int[threadIdx.x >> 5] = v;
  __syncthreads();
  return WarpMin(s.warp_int[simt::LaneId()]);
}
// The value of the one thread that holds `index`.
TW_DEVICE float Broadcast(Shared& s, bool mine, float v) {
  __syncthreads();
  if (mine) s.found_float = v;
  __syncthreads();
  return s.found_float;
}

// The first thread (of those with v > 0) whose prefix sum exceeds `target`; the last with v > 0 if rounding lets none; kNone
// if there is none. `before` is BlockScan's.
TW_DEVICE int Invert(Shared& s, float v, float before, float target) {
  const int i = threadIdx.x;
  const int first = BlockMin(s, v > 0 && before + v > target ? i : kNone);
  if (first != kNone) return first;
  const int last = -BlockMin(s, v > 0 ? -i : 1);
  return last < 0 ? kNone : last;
}

// Appends to the list; entries past its end are only counted.
TW_DEVICE void Append(Shared& s, uint64_t key) {
  const int at = atomicAdd(&s.listed, 1);
  if (at < kList) s.list[at] = key;
}

// Sorts list[0, n) ascending, bitonic: two entries a thread; a warp's 64 neighbours need no barrier of the block.
TW_DEVICE void Sort(Shared& s, int n) {
  int size = 64;
  while (size < n) size *= 2;
  __syncthreads();
  for (int i = threadIdx.x; i < size; i += kThreads)
    if (i >= n) s.list[i] = ~uint64_t{0};
  int stride_before = kThreads;
  const int t = threadIdx.x;
  for (int run = 2; run <= size; run *= 2)
    for (int stride = run / 2; stride > 0; stride /= 2) {
      if (stride > 32 || stride_before > 32)
        __syncthreads();
      else
        __syncwarp();
      stride_before = stride;
      const int i = 2 * t - (t & (stride - 1)), other = i + stride;
      if (other >= size) continue;
      const uint64_t a = s.list[i], b = s.list[other];
      if ((a > b) == ((i & run) == 0)) s.list[i] = b, s.list[other] = a;
    }
  __syncthreads();
}

}  // namespace tokenworks::kernels::sampling
