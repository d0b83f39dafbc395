// SPDX-License-Identifier: Apache-2.0
// Residual add and RMSNorm in one pass over the residual stream.
#pragma once

#include "kernels/simt/bf16.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

// residual += delta (rounded to bf16); out = residual / sqrt(mean(residual^2) + epsilon) * gain.
// Device pointers, 16-byte aligned; width a multiple of 8, at most 32,768.
struct AddRmsNormArgs {
  Bf16* residual = nullptr;     // [rows][width], updated in place
  const Bf16* delta = nullptr;  // [rows][width], or null: nothing to add
  const float* gain = nullptr;  // [width]
  Bf16* out = nullptr;          // [rows][width]
  int rows = 0, width = 0;
  float epsilon = 1e-5f;
};

void AddRmsNorm(const LaunchContext& context, const AddRmsNormArgs& args);
void AddRmsNormReference(const AddRmsNormArgs& args);  // host memory, sums in double

}  // namespace tokenworks::kernels
