// SPDX-License-Identifier: Apache-2.0
// Attention of one query row per sequence over its paged KV, bound by reading the KV once.
#pragma once

#include <cstddef>

#include "kernels/attention/paged_kv.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

// Row r attends to positions 0 .. context[r] - 1 of the table row r. Device pointers, 16-byte aligned.
// dim is 64 or 128; query_heads / kv_heads is 1 .. 8. A row with context 0 is padding: its output is zeros.
struct DecodeAttentionArgs {
  const Bf16* query = nullptr;  // [rows][query_heads][dim]
  PagedKv kv;
  BlockTables tables;                // [rows]
  const int32_t* context = nullptr;  // [rows]
  Bf16* out = nullptr;               // [rows][query_heads][dim]
  float* partial = nullptr;          // DecodePartialFloats(args) floats; may be null with one split
  int rows = 0, query_heads = 0, kv_heads = 0, dim = 0;
  int splits = 1;      // parts each context is cut into, of equal numbers of blocks; 1 .. 64
  float scale = 1.0f;  // of the scores, usually 1 / sqrt(dim)
};

inline constexpr int kMaxDecodeSplits = 64;

// Splits that fill the multiprocessors without leaving less than 128 tokens to one.
int DecodeSplits(int rows, int kv_heads, int max_context, int multiprocessors);
size_t DecodePartialFloats(const DecodeAttentionArgs& args);

// Enqueues the attention kernel and, with more than one split, the kernel that combines their parts.
void DecodeAttention(const LaunchContext& context, const DecodeAttentionArgs& args);
void DecodeAttentionReference(const DecodeAttentionArgs& args);  // host memory, in double

}  // namespace tokenworks::kernels
