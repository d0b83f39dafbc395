// SPDX-License-Identifier: Apache-2.0
#include "kernels/kv_block_copy/kv_block_copy.h"

#include "kernels/simt/simt.h"

namespace tokenworks::kernels {
namespace {

constexpr int kThreads = 1024, kPerThread = 4;  // four 16-byte loads in flight a thread

template <bool kPack>
__global__ void __launch_bounds__(kThreads) KvBlockCopyKernel(KvBlockCopyArgs a) {
  simt::WaitForPredecessor();
  const int64_t per_run = a.run_bytes / 16, total = per_run * a.count, tile = kThreads * kPerThread;
  for (int64_t first = blockIdx.x * tile; first < total; first += gridDim.x * tile) {
    unsigned char* in_pool[kPerThread];
    Vec16 value[kPerThread];
    TW_UNROLL
    for (int k = 0; k < kPerThread; ++k) {
      const int64_t unit = first + k * kThreads + threadIdx.x;
      if (unit >= total) break;
      const int64_t run = unit / per_run;
      in_pool[k] = a.pool + a.blocks[run] * a.block_bytes + a.offset_bytes + (unit - run * per_run) * 16;
      value[k] = simt::Load16(kPack ? in_pool[k] : a.message + unit * 16);
    }
    TW_UNROLL
    for (int k = 0; k < kPerThread; ++k) {
      const int64_t unit = first + k * kThreads + threadIdx.x;
      if (unit >= total) break;
      simt::Store16(kPack ? a.message + unit * 16 : in_pool[k], value[k]);
    }
  }
}

template <bool kPack>
void Enqueue(const LaunchContext& context, const KvBlockCopyArgs& args) {
  if (args.count > 0) simt::Launch(context, KvBlockCopyKernel<kPack>, {static_cast<unsigned>(args.ctas)}, kThreads, 0, args);
}

}  // namespace

void PackKvBlocks(const LaunchContext& context, const KvBlockCopyArgs& args) { Enqueue<true>(context, args); }
void UnpackKvBlocks(const LaunchContext& context, const KvBlockCopyArgs& args) { Enqueue<false>(context, args); }

}  // namespace tokenworks::kernels
