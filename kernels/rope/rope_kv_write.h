// SPDX-License-Identifier: Apache-2.0
// Rotary embedding of Q and K of a step's rows, and K and V into the paged pool.
#pragma once

#include "kernels/attention/paged_kv.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

// Device pointers, 16-byte aligned; dim a multiple of 16. A row with position < 0 is padding: nothing is written for
// it.
struct RopeKvWriteArgs {
  const Bf16* qkv = nullptr;  // [rows][query_heads + 2 kv_heads][dim]: Q, K, V
  Bf16* query = nullptr;      // [rows][query_heads][dim], rotated; may not alias qkv
  PagedKv kv;
  BlockTables tables;
  const int32_t* sequence = nullptr;  // [rows] row of the block table; null: row r is sequence r
  const int32_t* position = nullptr;  // [rows]
  const double* frequency = nullptr;  // [dim / 2] radians per position (scaling applied)
  int rows = 0, query_heads = 0, kv_heads = 0, dim = 0;
  bool neighbours = true;  // rotates (2i, 2i+1); else (i, i + dim/2)
};

// Angles are reduced in double, so positions far out keep their accuracy.
void RopeKvWrite(const LaunchContext& context, const RopeKvWriteArgs& args);
void RopeKvWriteReference(const RopeKvWriteArgs& args);  // host memory, in double

}  // namespace tokenworks::kernels
