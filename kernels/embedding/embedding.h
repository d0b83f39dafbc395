// SPDX-License-Identifier: Apache-2.0
// Rows of the embedding table for the tokens of a step.
#pragma once

#include "kernels/simt/bf16.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

// Device pointers, 16-byte aligned; width a multiple of 8. A token outside the vocabulary gives a row of zeros.
struct EmbeddingArgs {
  const Bf16* table = nullptr;      // [vocabulary][width]
  const int32_t* tokens = nullptr;  // [rows]
  const int32_t* drawn = nullptr;   // where not null, a token -1 - i stands for drawn[i]
  Bf16* out = nullptr;              // [rows][width]
  int rows = 0, width = 0, vocabulary = 0;
};

// Enqueues; the caller keeps all buffers alive until the stream has passed.
void GatherEmbedding(const LaunchContext& context, const EmbeddingArgs& args);

// The same on host memory, scalar.
void GatherEmbeddingReference(const EmbeddingArgs& args);

}  // namespace tokenworks::kernels
