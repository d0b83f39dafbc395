// SPDX-License-Identifier: Apache-2.0
// The gate of the feed-forward part: silu(gate) * up.
#pragma once

#include "kernels/simt/bf16.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

// Device pointers, 16-byte aligned; width a multiple of 8.
struct SwiGluArgs {
  const Bf16* gate_up = nullptr;  // [rows][2 width]: gate, then up
  Bf16* out = nullptr;            // [rows][width]
  int rows = 0, width = 0;
};

void SwiGlu(const LaunchContext& context, const SwiGluArgs& args);
void SwiGluReference(const SwiGluArgs& args);  // host memory

}  // namespace tokenworks::kernels
