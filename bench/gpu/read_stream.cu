// SPDX-License-Identifier: Apache-2.0
#include "read_stream.h"

#include "kernels/simt/simt.h"

namespace tokenworks::bench {
namespace {

constexpr int kThreads = 512, kLoads = 8;

struct Args {
  const unsigned char* data;
  size_t bytes;
  unsigned* sink;
};

__global__ void __launch_bounds__(kThreads) ReadKernel(Args a) {
  constexpr size_t kTile = size_t{16} * kThreads * kLoads;
  unsigned mixed = 0;
  for (size_t at = blockIdx.x * kTile; at < a.bytes; at += gridDim.x * kTile) {
    Vec16 v[kLoads];
    TW_UNROLL
    for (int i = 0; i < kLoads; ++i) v[i] = simt::LoadStream16(a.data + at + (size_t{static_cast<unsigned>(i)} * kThreads + threadIdx.x) * 16);
    TW_UNROLL
    for (int i = 0; i < kLoads; ++i) mixed ^= v[i].word[0] ^ v[i].word[1] ^ v[i].word[2] ^ v[i].word[3];
  }
  if (mixed == 0x12345678u) a.sink[blockIdx.x] = mixed;
}

}  // namespace

void ReadStream(const kernels::LaunchContext& context, const void* data, size_t bytes, unsigned* sink, int blocks) {
  simt::Launch(context, ReadKernel, {static_cast<unsigned>(blocks)}, kThreads, 0, Args{static_cast<const unsigned char*>(data), bytes, sink});
}

}  // namespace tokenworks::bench
