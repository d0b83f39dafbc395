// SPDX-License-Identifier: Apache-2.0
// Attention of one query row over paged KV, equal for prefill and decode: NUMERICS.md, "Attention".
#pragma once

#include <cstddef>
#include <cstdint>

#include "tokenworks/kv_layout.h"

namespace tokenworks::kernels {

// Inner order "k-dim16-v-pos16": per layer and block K[kv_head][dim][16 positions], then V[kv_head][16 positions][dim].
inline constexpr const char* kInnerOrder = "k-dim16-v-pos16";
inline constexpr int kSegment = 256;  // absolute positions
inline constexpr int kMaxHeadDim = 256;
inline constexpr int kMaxGroupHeads = 16;  // query heads per KV head

struct AttentionShape {
  int query_heads, kv_heads, dim;
  bool f32;  // KV element type: f32 (reference path) or f16
  size_t k_bytes() const { return static_cast<size_t>(kv_heads) * dim * kBlockTokens * (f32 ? 4 : 2); }
};

// One query row, or the first of some neighbouring rows of one sequence, which follow in q and out at query_heads * dim
// each and have one position more each. K and V of positions 0 .. positions-1 lie in blocks[]; its own position is
// positions - 1.
struct AttentionRow {
  const float* q;  // [query_heads][dim], already rotated, not scaled
  float* out;      // [query_heads][dim]
  // Start of block b of this layer: pool + blocks[b] * block_stride + layer_offset.
  const std::byte* layer_base;
  size_t block_stride;
  const int32_t* blocks;
  int positions;
};

// Floats of scratch that one call of `attend` or `attend_segment` needs.
size_t AttentionScratch(const AttentionShape& shape);

// What one segment gives for the query heads of one KV head, in order: o[dim], then the largest score, then the sum of
// weights.
inline size_t SegmentFloats(const AttentionShape& shape) {
  return static_cast<size_t>(shape.query_heads / shape.kv_heads) * (static_cast<size_t>(shape.dim) + 2);
}

// Writes one position's K and V rows (f32, [kv_heads][dim] each) into a block of a layer.
void WriteKv(const AttentionShape& shape, const float* k, const float* v, std::byte* block_of_layer,
             int position_in_block);

}  // namespace tokenworks::kernels
