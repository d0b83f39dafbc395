// SPDX-License-Identifier: Apache-2.0
// What a kernel source includes: it compiles with nvcc for a GPU, and with g++ over fibers (fiber.h) for tests.
// Rules: block sizes are multiples of 32; warp functions are called by all 32 lanes; dynamic shared memory only through
// TW_SHARED_MEMORY; PTX only inside ptx.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/simt/bf16.h"
#include "kernels/simt/launch.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>

#define TW_DEVICE __device__ __forceinline__
#define TW_UNROLL _Pragma("unroll")
#define TW_NO_UNROLL _Pragma("unroll 1")
#define TW_SHARED_MEMORY(name) extern __shared__ __align__(128) unsigned char name[]

namespace tokenworks::simt {

struct Grid {
  unsigned x = 1, y = 1, z = 1;
};

// A launch of a shape that the runtime refuses is a bug in the caller: says so and aborts. Faults of kernels, this one
// or earlier ones, show at the stream's next copy, event or synchronisation.
template <class Args>
void Launch(const kernels::LaunchContext& context, void (*kernel)(Args), Grid grid, int threads, size_t shared_bytes,
            const Args& args) {
  if (shared_bytes > 48 * 1024)
    cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                         static_cast<int>(shared_bytes));
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(grid.x, grid.y, grid.z);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(context.stream);
  config.attrs = &attribute;
  config.numAttrs = context.overlap_previous ? 1 : 0;
  const cudaError_t error = cudaLaunchKernelEx(&config, kernel, args);
  const bool bug = error == cudaErrorInvalidConfiguration || error == cudaErrorInvalidValue ||
                   error == cudaErrorLaunchOutOfResources || error == cudaErrorInvalidDeviceFunction ||
                   error == cudaErrorInvalidResourceHandle || error == cudaErrorNoKernelImageForDevice;
  if (!bug) return;
  std::fprintf(stderr, "kernel launch refused: %s (grid %u %u %u, %d threads, %zu bytes shared)\n",
               cudaGetErrorString(error), grid.x, grid.y, grid.z, threads, shared_bytes);
  std::abort();
}

}  // namespace tokenworks::simt

#else  // the shim

#include <cmath>

#include "kernels/simt/fiber.h"
#include "kernels/simt/work_queue.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static thread_local
#define TW_DEVICE inline
#define TW_UNROLL
#define TW_NO_UNROLL
#define TW_SHARED_MEMORY(name) unsigned char* name = ::tokenworks::simt::SharedMemory()

#define threadIdx (::tokenworks::simt::Current().thread)
#define blockIdx (::tokenworks::simt::Current().block)
#define blockDim (::tokenworks::simt::Current().threads)
#define gridDim (::tokenworks::simt::Current().grid)

inline void __syncthreads() { ::tokenworks::simt::BlockBarrier(); }
inline void __syncwarp() { ::tokenworks::simt::WarpBarrier(); }

// Fibers of a block share one thread of the operating system, so plain reads and writes are atomic.
template <class T>
T atomicAdd(T* at, T value) {
  const T old = *at;
  *at = old + value;
  return old;
}

namespace tokenworks::simt {

template <class Args>
void Launch(const kernels::LaunchContext& context, void (*kernel)(Args), Grid grid, int threads, size_t shared_bytes,
            const Args& args) {
  struct Call {
    void (*kernel)(Args);
    Args args;
  };
  const auto run = [=] {
    Call call{kernel, args};
    RunGrid(
        grid, threads, shared_bytes, [](void* c) { static_cast<Call*>(c)->kernel(static_cast<Call*>(c)->args); },
        &call);
  };
  if (context.stream == nullptr)
    run();
  else
    static_cast<WorkQueue*>(context.stream)->Enqueue(run);
}

}  // namespace tokenworks::simt
#endif

#include "kernels/simt/ptx.h"
