// SPDX-License-Identifier: Apache-2.0
// Matrix-vector product of one or two rows, bound by reading the weights once; the small kernels around it folded in.
#pragma once

#include "kernels/simt/bf16.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

// y[r][o] = sum_i weight[o][i] x[r][i], summed in float. Device pointers, 16-byte aligned; inputs a multiple of 8,
// at most 57,344 / rows. Weights must not be written by the predecessor on the stream: they are read before it ends.
struct GemvArgs {
  const Bf16* weight = nullptr;  // [outputs][inputs]; with swiglu [2 outputs][inputs]: gate rows, then up rows
  const Bf16* x = nullptr;       // [rows][inputs]
  const float* gain = nullptr;   // [inputs]: x is RMS-normalised with it first; null: x as it is
  float epsilon = 1e-5f;
  bool swiglu = false;             // y = silu(gate) * up
  const Bf16* residual = nullptr;  // [rows][outputs] added to the result, may be y; null: nothing
  Bf16* y = nullptr;               // [rows][outputs]
  float* y_float = nullptr;        // [rows][outputs], written instead of y when not null
  int rows = 1, outputs = 0, inputs = 0;
  int multiprocessors = 132;
};

void Gemv(const LaunchContext& context, const GemvArgs& args);
void GemvReference(const GemvArgs& args);  // host memory, sums in double

}  // namespace tokenworks::kernels
