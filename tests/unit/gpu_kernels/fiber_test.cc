// SPDX-License-Identifier: Apache-2.0
// The shim itself: it must catch what a GPU would hide.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "kernels/simt/simt.h"

namespace tokenworks::simt {
namespace {

struct Args {
  float* out;
  bool waits;
};

// Each thread reads its neighbour's word: right only with a barrier between.
void ReadNeighbour(Args a) {
  TW_SHARED_MEMORY(raw);
  float* shared = reinterpret_cast<float*>(raw);
  shared[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (a.waits) __syncthreads();
  a.out[blockIdx.x * blockDim.x + threadIdx.x] = shared[(threadIdx.x + 1) % blockDim.x];
}

int WrongWords(bool waits) {
  std::vector<float> out(4 * 64);
  Launch({}, ReadNeighbour, {4}, 64, 64 * sizeof(float), Args{out.data(), waits});
  int wrong = 0;
  for (int i = 0; i < 256; ++i) wrong += out[i] != static_cast<float>((i % 64 + 1) % 64);
  return wrong;
}

TEST(Fiber, AMissingBarrierShows) {
  SetSeed(7);
  EXPECT_EQ(WrongWords(true), 0);
  EXPECT_GT(WrongWords(false), 20);
}

void CopyAcross(Args a) {
  TW_SHARED_MEMORY(raw);
  CopyAsync16(raw + threadIdx.x * 16, a.out + threadIdx.x * 4);
  CopyAsyncCommit();
  if (a.waits) CopyAsyncWait<0>();
  Store16(a.out + 128 + threadIdx.x * 4, Load16(raw + threadIdx.x * 16));
}

TEST(Fiber, AnAsyncCopyArrivesOnlyAtItsWait) {
  for (const bool waits : {false, true}) {
    std::vector<float> data(256, 3.0f);
    Launch({}, CopyAcross, {1}, 32, 512, Args{data.data(), waits});
    EXPECT_EQ(data[200] == 3.0f, waits);
  }
}

void HalfABarrier(Args) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    WarpSum(1.0f), __syncwarp(), __syncthreads(), __syncthreads();
}

TEST(FiberDeathTest, ABarrierThatSomeThreadsMissIsReported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto lost = [](Args) {
    if (threadIdx.x == 5) return;
    __syncwarp();
  };
  EXPECT_DEATH(Launch({}, +lost, {1}, 32, 0, Args{}), "a barrier that not every thread reaches");
  Launch({}, HalfABarrier, {1}, 64, 0, Args{});  // returned threads count as arrived
}

void Product(Args a) {
  uint32_t x[4];
  TW_SHARED_MEMORY(raw);
  Bf16* m = reinterpret_cast<Bf16*>(raw);
  const int lane = static_cast<int>(LaneId());
  for (int i = lane; i < 256; i += 32)
    m[i] = ToBf16(static_cast<float>(i % 16 == i / 16) + static_cast<float>(i == 3));  // identity, and 1 at (0, 3)
  __syncwarp();
  LoadMatrix4(x, m + (lane % 8 + (lane / 8 & 1) * 8) * 16 + (lane / 16) * 8);
  float d[4] = {};
  const int n = lane / 4, k = lane % 4 * 2;  // b[k][n] = 16 n + k
  const auto pair = [&](int i) { return PackBf16(static_cast<float>(16 * n + i), static_cast<float>(16 * n + i + 1)); };
  MultiplyAccumulate(d, x, pair(k), pair(k + 8));
  for (int i = 0; i < 4; ++i) a.out[(lane / 4 + i / 2 * 8) * 8 + k + i % 2] = d[i];
}

TEST(Fiber, MatrixFragmentsAreWhereTheInstructionHasThem) {
  std::vector<float> out(128);
  Launch({}, Product, {1}, 32, 512, Args{out.data(), true});
  for (int row = 0; row < 16; ++row)
    for (int n = 0; n < 8; ++n)
      EXPECT_EQ(out[row * 8 + n], static_cast<float>(16 * n + row + (row == 0 ? 16 * n + 3 : 0))) << row << " " << n;
}

}  // namespace
}  // namespace tokenworks::simt
