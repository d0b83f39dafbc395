// SPDX-License-Identifier: Apache-2.0
// All query heads of a KV head form the eight columns of the tensor-core products: S^T = K Q^T, O^T = V^T P^T. Each warp
// streams whole KV blocks through its own ring of shared memory, without a barrier until the warps are merged.
#include "kernels/attention/decode_attention.h"

#include "kernels/simt/simt.h"

namespace tokenworks::kernels {
namespace {

constexpr int kWarps = 4, kThreads = 32 * kWarps, kHeads = 8;
constexpr int kTileTokens = kKvBlockTokens;
constexpr float kMinusInfinity = -3.0e38f;  // finite: its differences stay numbers

template <int kDim>
struct Shape {
  static constexpr int kStages = kDim == 128 ? 3 : 6;  // 8 KiB x 3 or 4 KiB x 6 of KV in flight a warp
  static constexpr int kPlane = kTileTokens * kDim;    // elements
  static constexpr int kRing = kStages * 2 * kPlane;
  static constexpr size_t kSharedBytes = size_t{2} * kWarps * kRing;
  static_assert(kSharedBytes >= sizeof(float) * kWarps * kHeads * (kDim + 2), "the merge reuses the rings");
};

// Element offset of 16-byte column `column` of a token's row; swizzled so that eight rows of one column hit all banks.
template <int kDim>
TW_DEVICE int TileOffset(int token, int column) {
  return token * kDim + ((column ^ (token & 7)) << 3);
}

// What a warp keeps: heads 2 (lane % 4) and one more; tokens or dims lane / 4 and + 8.
template <int kDim>
struct Running {
  float out[kDim / 16][4] = {};
  float highest[2] = {kMinusInfinity, kMinusInfinity};
  float sum[2] = {0, 0};  // of this lane's tokens only, until the end
};

// Starts copying tile `tile` (one block) of K and V; tokens from `valid` on become zeros.
template <int kDim>
TW_DEVICE void StartTile(const PagedKv& kv, int64_t block, int head, int valid, Bf16* stage) {
  const Bf16* k = kv.base + block * kv.block_stride + head * kv.head_stride;
  constexpr int kColumns = kDim / 8;
  TW_UNROLL
  for (int i = 0; i < kTileTokens * kColumns / 32; ++i) {
    const int unit = i * 32 + static_cast<int>(simt::LaneId()), token = unit / kColumns, column = unit % kColumns;
    const Bf16* source = k + token * kv.token_stride + column * 8;
    Bf16* target = stage + TileOffset<kDim>(token, column);
    simt::CopyAsync16(target, source, token < valid);
    simt::CopyAsync16(target + Shape<kDim>::kPlane, source + kv.plane_stride, token < valid);
  }
}

template <int kDim>
TW_DEVICE void AddTile(const Bf16* stage, const uint32_t (&query)[kDim / 16][2], float scale_log2, int valid, Running<kDim>& run) {
  const int lane = static_cast<int>(simt::LaneId()), matrix = lane >> 3, row = lane & 7;
  float even[4] = {}, odd[4] = {};
  TW_UNROLL
  for (int c = 0; c < kDim / 16; ++c) {
    uint32_t k[4];
    simt::LoadMatrix4(k, stage + TileOffset<kDim>(row + (matrix & 1) * 8, c * 2 + (matrix >> 1)));
    simt::MultiplyAccumulate(c & 1 ? odd : even, k, query[c][0], query[c][1]);
  }
  float s[4], alpha[2];
  TW_UNROLL
  for (int i = 0; i < 4; ++i) s[i] = (lane >> 2) + (i >> 1) * 8 < valid ? (even[i] + odd[i]) * scale_log2 : kMinusInfinity;
  TW_UNROLL
  for (int h = 0; h < 2; ++h) {
    float m = fmaxf(s[h], s[h + 2]);
    TW_UNROLL
    for (int mask = 4; mask < 32; mask <<= 1) m = fmaxf(m, simt::ShuffleXor(m, mask));
    m = fmaxf(m, run.highest[h]);
    alpha[h] = simt::Exp2(run.highest[h] - m);
    run.highest[h] = m;
    s[h] = simt::Exp2(s[h] - m);
    s[h + 2] = simt::Exp2(s[h + 2] - m);
    run.sum[h] = run.sum[h] * alpha[h] + s[h] + s[h + 2];
  }
  const uint32_t p0 = simt::TransposeMatrix(PackBf16(s[0], s[1])), p1 = simt::TransposeMatrix(PackBf16(s[2], s[3]));
  const Bf16* v_stage = stage + Shape<kDim>::kPlane;
  TW_UNROLL
  for (int d = 0; d < kDim / 16; ++d) {
    uint32_t v[4];
    simt::LoadMatrix4Transposed(v, v_stage + TileOffset<kDim>(row + (matrix >> 1) * 8, d * 2 + (matrix & 1)));
    TW_UNROLL
    for (int i = 0; i < 4; ++i) run.out[d][i] *= alpha[i & 1];
    simt::MultiplyAccumulate(run.out[d], v, p0, p1);
  }
}

// The warp's part into shared memory: [kWarps][kHeads][kDim] sums, then [kWarps][kHeads] maxima and sums of weights.
template <int kDim>
TW_DEVICE void PublishWarp(Running<kDim>& run, int warp, float* shared) {
  const int lane = static_cast<int>(simt::LaneId()), head = (lane & 3) * 2;
  float* out = shared + warp * kHeads * kDim;
  TW_UNROLL
  for (int d = 0; d < kDim / 16; ++d) {
    TW_UNROLL
    for (int i = 0; i < 4; ++i) out[(head + (i & 1)) * kDim + d * 16 + (lane >> 2) + (i >> 1) * 8] = run.out[d][i];
  }
  float* highest = shared + kWarps * kHeads * kDim + warp * kHeads;
  TW_UNROLL
  for (int h = 0; h < 2; ++h) {
    float sum = run.sum[h];
    TW_UNROLL
    for (int mask = 4; mask < 32; mask <<= 1) sum += simt::ShuffleXor(sum, mask);
    if (lane < 4) {
      highest[head + h] = run.highest[h];
      highest[kWarps * kHeads + head + h] = sum;
    }
  }
}

// Merges the warps' parts of head `head`, value `i`; *log2_sum is the log2 of the sum of weights.
template <int kDim>
TW_DEVICE float MergeWarps(const float* shared, int head, int i, float* log2_sum) {
  const float* highest = shared + kWarps * kHeads * kDim;
  const float* sums = highest + kWarps * kHeads;
  float m = kMinusInfinity, total = 0, value = 0;
  TW_UNROLL
  for (int w = 0; w < kWarps; ++w) m = fmaxf(m, highest[w * kHeads + head]);
  TW_UNROLL
  for (int w = 0; w < kWarps; ++w) {
    const float weight = simt::Exp2(highest[w * kHeads + head] - m);
    total += weight * sums[w * kHeads + head];
    value += weight * shared[(w * kHeads + head) * kDim + i];
  }
  *log2_sum = total > 0 ? m + log2f(total) : kMinusInfinity;
  return total > 0 ? value / total : 0.0f;
}

// x: split, y: KV head, z: row.
template <int kDim>
__global__ void __launch_bounds__(kThreads) DecodeAttentionKernel(DecodeAttentionArgs a) {
  TW_SHARED_MEMORY(shared);
  constexpr int kStages = Shape<kDim>::kStages;
  const int lane = static_cast<int>(simt::LaneId()), warp = static_cast<int>(threadIdx.x >> 5);
  const int split = blockIdx.x, kv_head = blockIdx.y, row = blockIdx.z, group = a.query_heads / a.kv_heads;
  Bf16* ring = reinterpret_cast<Bf16*>(shared) + warp * Shape<kDim>::kRing;
  simt::WaitForPredecessor();
  simt::AllowSuccessor();

  const int context = a.context[row], blocks = (context + kTileTokens - 1) / kTileTokens;
  const int per_split = (blocks + a.splits - 1) / a.splits, first = split * per_split + warp;
  const int end = blocks < (split + 1) * per_split ? blocks : (split + 1) * per_split;
  const int tiles = first < end ? (end - first + kWarps - 1) / kWarps : 0;
  const int32_t* table = a.tables.blocks + int64_t{row} * a.tables.stride;
  // Lane l holds the block of the warp's tile (32 k + l), refilled every 32 tiles.
  int known_blocks = 0;
  const auto start = [&](int tile) {
    if (tile < tiles) {
      if ((tile & 31) == 0) known_blocks = tile + lane < tiles ? table[first + (tile + lane) * kWarps] : 0;
      const int64_t block = simt::Shuffle(known_blocks, tile & 31);
      StartTile<kDim>(a.kv, block, kv_head, context - (first + tile * kWarps) * kTileTokens, ring + tile % kStages * 2 * Shape<kDim>::kPlane);
    }
    simt::CopyAsyncCommit();
  };
  for (int t = 0; t < kStages - 1; ++t) start(t);

  uint32_t query[kDim / 16][2];
  const int head = lane >> 2;
  const Bf16* q = a.query + (int64_t{row} * a.query_heads + kv_head * group + (head < group ? head : 0)) * kDim + (lane & 3) * 2;
  TW_UNROLL
  for (int c = 0; c < kDim / 16; ++c) {
    TW_UNROLL
    for (int half = 0; half < 2; ++half)
      query[c][half] = head < group ? *reinterpret_cast<const uint32_t*>(q + c * 16 + half * 8) : 0u;
  }

  Running<kDim> run;
  for (int t = 0; t < tiles; ++t) {
    simt::CopyAsyncWait<kStages - 2>();
    __syncwarp();  // every lane's part of the tile has arrived, and every lane is done with the tile before
    start(t + kStages - 1);
    AddTile<kDim>(ring + t % kStages * 2 * Shape<kDim>::kPlane, query, a.scale * 1.4426950408889634f,
                  context - (first + t * kWarps) * kTileTokens, run);
  }
  simt::CopyAsyncWait<0>();
  __syncthreads();
  float* merged = reinterpret_cast<float*>(shared);
  PublishWarp<kDim>(run, warp, merged);
  __syncthreads();
  for (int i = threadIdx.x; i < group * kDim; i += kThreads) {
    const int h = i / kDim, d = i % kDim;
    const int64_t index = int64_t{row} * a.query_heads + kv_head * group + h;
    float log2_sum;
    const float value = MergeWarps<kDim>(merged, h, d, &log2_sum);
    if (a.splits == 1) {
      a.out[index * kDim + d] = ToBf16(value);
    } else {
      a.partial[(index * a.splits + split) * kDim + d] = value;
      if (d == 0) a.partial[int64_t{a.rows} * a.query_heads * a.splits * kDim + index * a.splits + split] = log2_sum;
    }
  }
}

// One block a (row, head), one thread a value.
__global__ void CombineKernel(DecodeAttentionArgs a) {
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const int64_t index = blockIdx.x;
  const float* log2_sums = a.partial + int64_t{a.rows} * a.query_heads * a.splits * a.dim + index * a.splits;
  const float* parts = a.partial + index * a.splits * a.dim + threadIdx.x;
  float m = kMinusInfinity, total = 0, value = 0;
  for (int s = 0; s < a.splits; ++s) m = fmaxf(m, log2_sums[s]);
#if defined(__CUDACC__)
#pragma unroll 4
#endif
  for (int s = 0; s < a.splits; ++s) {
    const float weight = log2_sums[s] > kMinusInfinity ? simt::Exp2(log2_sums[s] - m) : 0.0f;
    total += weight;
    value += weight * parts[s * a.dim];
  }
  a.out[index * a.dim + threadIdx.x] = ToBf16(total > 0 ? value / total : 0.0f);
}

template <int kDim>
void Enqueue(const LaunchContext& context, const DecodeAttentionArgs& a) {
  simt::Launch(context, DecodeAttentionKernel<kDim>,
               {static_cast<unsigned>(a.splits), static_cast<unsigned>(a.kv_heads), static_cast<unsigned>(a.rows)}, kThreads,
               Shape<kDim>::kSharedBytes, a);
}

}  // namespace

int DecodeSplits(int rows, int kv_heads, int max_context, int multiprocessors) {
  const int pairs = rows * kv_heads < 1 ? 1 : rows * kv_heads, resident = 2 * multiprocessors;
  int splits = pairs >= resident ? 1 : (resident + pairs - 1) / pairs;
  const int most = max_context / 128 < 1 ? 1 : max_context / 128;
  if (splits > most) splits = most;
  return splits > kMaxDecodeSplits ? kMaxDecodeSplits : splits;
}

size_t DecodePartialFloats(const DecodeAttentionArgs& a) {
  return a.splits == 1 ? 0 : size_t{1} * a.rows * a.query_heads * a.splits * (a.dim + 1);
}

void DecodeAttention(const LaunchContext& context, const DecodeAttentionArgs& args) {
  if (args.rows == 0) return;
  if (args.dim == 128) Enqueue<128>(context, args);
  if (args.dim == 64) Enqueue<64>(context, args);
  if (args.splits > 1)
    simt::Launch(context, CombineKernel, {static_cast<unsigned>(args.rows * args.query_heads)}, args.dim, 0, args);
}

}  // namespace tokenworks::kernels
