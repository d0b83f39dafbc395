// SPDX-License-Identifier: Apache-2.0
// Causal attention of prompt chunks over paged KV, on tensor cores.
#pragma once

#include "kernels/attention/paged_kv.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

// Sequence s owns rows first_row[s] .. first_row[s + 1] - 1: its last positions, up to context[s] - 1. A row attends to
// positions up to its own (bottom-right causal). K and V of the chunk are in the pool already.
// Device pointers, 16-byte aligned; dim 64 or 128; query_heads a multiple of kv_heads.
struct PrefillAttentionArgs {
  const Bf16* query = nullptr;  // [rows][query_heads][dim]
  PagedKv kv;
  BlockTables tables;                  // [sequences]
  const int32_t* first_row = nullptr;  // [sequences + 1]
  const int32_t* context = nullptr;    // [sequences]
  Bf16* out = nullptr;                 // [rows][query_heads][dim]
  int sequences = 0;
  int max_rows = 0;  // of one sequence
  int query_heads = 0, kv_heads = 0, dim = 0;
  float scale = 1.0f;
};

void PrefillAttention(const LaunchContext& context, const PrefillAttentionArgs& args);
void PrefillAttentionReference(const PrefillAttentionArgs& args);  // host memory, in double

}  // namespace tokenworks::kernels
