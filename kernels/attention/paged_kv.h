// SPDX-License-Identifier: Apache-2.0
// One layer of a paged KV pool as kernels see it: blocks of 16 tokens, any strides.
#pragma once

#include "kernels/simt/bf16.h"

namespace tokenworks::kernels {

inline constexpr int kKvBlockTokens = 16;

// Value (block, plane, head, token, i) lies at base + block * block_stride + plane * plane_stride + head * head_stride
// + token * token_stride + i; plane 0 is K, 1 is V. Strides in elements, multiples of 8; base 16-byte aligned.
struct PagedKv {
  Bf16* base = nullptr;
  int64_t block_stride = 0, plane_stride = 0, head_stride = 0;
  int token_stride = 0;
};

// The pool's own order [block][layer][K|V][head][token][dim]: layer `layer` of the pool at `pool`.
inline PagedKv LayerOfPool(Bf16* pool, int layer, int layers, int heads, int dim) {
  const int64_t head = int64_t{kKvBlockTokens} * dim, plane = head * heads;
  return {pool + 2 * plane * layer, 2 * plane * layers, plane, head, dim};
}

// The block table of each sequence: [sequences][stride] block numbers, from position 0.
struct BlockTables {
  const int32_t* blocks = nullptr;
  int stride = 0;
};

}  // namespace tokenworks::kernels
