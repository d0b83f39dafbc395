// SPDX-License-Identifier: Apache-2.0
// Where a kernel is enqueued. Free of CUDA, so that signatures of kernels are too.
#pragma once

namespace tokenworks::kernels {

// The stream is a cudaStream_t, or null for the default stream. The shim takes a simt::WorkQueue*; null runs at once.
struct LaunchContext {
  void* stream = nullptr;
  // Lets this kernel's prologue overlap its predecessor on the stream (programmatic dependent launch, sm_90). Every
  // kernel here waits before it touches what the predecessor wrote, so this changes no result.
  bool overlap_previous = false;
};

}  // namespace tokenworks::kernels
