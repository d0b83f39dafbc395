// SPDX-License-Identifier: Apache-2.0
// One thread block takes 128 rows of one query head; a warp 32 of them, so that each K and V fragment read from shared
// memory serves two products. The next 64 keys arrive while the present ones are worked on: one barrier a tile.
#include "kernels/attention/prefill_attention.h"

#include "kernels/simt/simt.h"

namespace tokenworks::kernels {
namespace {

constexpr int kWarps = 4, kThreads = 32 * kWarps, kWarpRows = 32, kRows = kWarps * kWarpRows, kKeys = 64;
constexpr int kSpan = 32;  // keys whose scores are in registers at a time
constexpr float kMinusInfinity = -3.0e38f;

template <int kDim>
constexpr size_t kSharedBytes = size_t{2} * kDim * (kRows + 4 * kKeys);

template <int kDim>
TW_DEVICE int TileOffset(int row, int column) {
  return row * kDim + ((column ^ (row & 7)) << 3);
}

// Rows first .. first + kRows - 1 of the chunk into shared memory; past the chunk zeros.
template <int kDim>
TW_DEVICE void StartQuery(const Bf16* query, int64_t stride, int first, int rows, Bf16* tile) {
  constexpr int kColumns = kDim / 8;
  TW_NO_UNROLL
  for (int i = 0; i < kRows * kColumns / kThreads; ++i) {
    const int unit = i * kThreads + static_cast<int>(threadIdx.x), row = unit / kColumns, column = unit % kColumns;
    const bool valid = first + row < rows;
    simt::CopyAsync16(tile + TileOffset<kDim>(row, column), query + (valid ? first + row : 0) * stride + column * 8, valid);
  }
}

// The blocks of a tile's keys, one a lane (lane modulo four): loaded a tile ahead of their use.
TW_DEVICE int TileBlock(const int32_t* table, int first, int context) {
  const int key = first + static_cast<int>(simt::LaneId() & 3) * kKvBlockTokens;
  return table[(key < context ? key : context - 1) / kKvBlockTokens];
}

// Keys first .. first + kKeys - 1; past the context zeros, so that no garbage meets a zero weight. Hardly unrolled: the
// addresses of many copies at once cost the registers that the products need.
template <int kDim>
TW_DEVICE void StartKeys(const PagedKv& kv, int tile_block, int head, int keys, Bf16* k_tile, Bf16* v_tile) {
  constexpr int kColumns = kDim / 8;
  const int column = static_cast<int>(threadIdx.x) % kColumns;
  const Bf16* base = kv.base + head * kv.head_stride + column * 8;
  TW_NO_UNROLL
  for (int row = static_cast<int>(threadIdx.x) / kColumns; row < kKeys; row += kThreads / kColumns) {
    const int64_t block = simt::Shuffle(tile_block, row / kKvBlockTokens);
    const Bf16* source = base + block * kv.block_stride + (row % kKvBlockTokens) * kv.token_stride;
    const int offset = TileOffset<kDim>(row, column);
    simt::CopyAsync16(k_tile + offset, source, row < keys);
    simt::CopyAsync16(v_tile + offset, source + kv.plane_stride, row < keys);
  }
}

// Scores of the warp's 32 rows with kSpan keys: score[m][n] is the fragment of rows 16 m.. and keys 8 n...
template <int kDim>
TW_DEVICE void Scores(const Bf16* q_tile, const Bf16* k_tile, float (&score)[2][kSpan / 8][4]) {
  const int lane = static_cast<int>(simt::LaneId()), matrix = lane >> 3, r = lane & 7;
  TW_UNROLL
  for (int m = 0; m < 2; ++m)
    TW_UNROLL
    for (int n = 0; n < kSpan / 8; ++n)
      TW_UNROLL
      for (int i = 0; i < 4; ++i) score[m][n][i] = 0;
  TW_UNROLL
  for (int c = 0; c < kDim / 16; ++c) {
    uint32_t q[2][4];
    TW_UNROLL
    for (int m = 0; m < 2; ++m) simt::LoadMatrix4(q[m], q_tile + TileOffset<kDim>(m * 16 + r + (matrix & 1) * 8, c * 2 + (matrix >> 1)));
    TW_UNROLL
    for (int n = 0; n < kSpan / 16; ++n) {
      uint32_t k[4];
      simt::LoadMatrix4(k, k_tile + TileOffset<kDim>(n * 16 + r + (matrix >> 1) * 8, c * 2 + (matrix & 1)));
      TW_UNROLL
      for (int m = 0; m < 2; ++m) {
        simt::MultiplyAccumulate(score[m][2 * n], q[m], k[0], k[1]);
        simt::MultiplyAccumulate(score[m][2 * n + 1], q[m], k[2], k[3]);
      }
    }
  }
}

// Row r of the warp sees columns up to last + r.
TW_DEVICE void MaskFuture(float (&score)[2][kSpan / 8][4], int last) {
  const int lane = static_cast<int>(simt::LaneId());
  TW_UNROLL
  for (int m = 0; m < 2; ++m)
    TW_UNROLL
    for (int n = 0; n < kSpan / 8; ++n)
      TW_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int row = m * 16 + (i >> 1) * 8 + (lane >> 2), column = n * 8 + (lane & 3) * 2 + (i & 1);
        if (column > last + row) score[m][n][i] = kMinusInfinity;
      }
}

// What a lane keeps of its four rows (16 m + lane / 4 + 8 half).
template <int kDim>
struct Running {
  float out[2][kDim / 8][4];
  float highest[2][2], sum[2][2];
};

// Scores become weights against the new maximum; what was summed before is brought to it.
template <int kDim>
TW_DEVICE void Soften(float (&score)[2][kSpan / 8][4], float scale_log2, Running<kDim>& run) {
  TW_UNROLL
  for (int m = 0; m < 2; ++m)
    TW_UNROLL
    for (int half = 0; half < 2; ++half) {
      float highest = kMinusInfinity;
      TW_UNROLL
      for (int n = 0; n < kSpan / 8; ++n) highest = fmaxf(highest, fmaxf(score[m][n][2 * half], score[m][n][2 * half + 1]));
      highest = fmaxf(highest, simt::ShuffleXor(highest, 1));
      highest = fmaxf(highest, simt::ShuffleXor(highest, 2));
      highest = fmaxf(highest * scale_log2, run.highest[m][half]);
      const float alpha = simt::Exp2(run.highest[m][half] - highest);
      run.highest[m][half] = highest;
      float sum = 0;
      TW_UNROLL
      for (int n = 0; n < kSpan / 8; ++n)
        TW_UNROLL
        for (int i = 2 * half; i < 2 * half + 2; ++i) sum += score[m][n][i] = simt::Exp2(fmaf(score[m][n][i], scale_log2, -highest));
      run.sum[m][half] = run.sum[m][half] * alpha + sum;
      if (!simt::AnyLane(alpha != 1.0f)) continue;  // the maximum soon stands
      TW_UNROLL
      for (int d = 0; d < kDim / 8; ++d)
        TW_UNROLL
        for (int i = 2 * half; i < 2 * half + 2; ++i) run.out[m][d][i] *= alpha;
    }
}

template <int kDim>
TW_DEVICE void AddValues(const float (&weight)[2][kSpan / 8][4], const Bf16* v_tile, Running<kDim>& run) {
  const int lane = static_cast<int>(simt::LaneId()), matrix = lane >> 3, r = lane & 7;
  TW_UNROLL
  for (int n = 0; n < kSpan / 16; ++n) {
    uint32_t p[2][4];
    TW_UNROLL
    for (int m = 0; m < 2; ++m)
      TW_UNROLL
      for (int i = 0; i < 4; ++i)
        p[m][i] = PackBf16(weight[m][2 * n + (i >> 1)][(i & 1) * 2], weight[m][2 * n + (i >> 1)][(i & 1) * 2 + 1]);
    TW_UNROLL
    for (int d = 0; d < kDim / 16; ++d) {
      uint32_t v[4];
      simt::LoadMatrix4Transposed(v, v_tile + TileOffset<kDim>(n * 16 + r + (matrix & 1) * 8, d * 2 + (matrix >> 1)));
      TW_UNROLL
      for (int m = 0; m < 2; ++m) {
        simt::MultiplyAccumulate(run.out[m][2 * d], p[m], v[0], v[1]);
        simt::MultiplyAccumulate(run.out[m][2 * d + 1], p[m], v[2], v[3]);
      }
    }
  }
}

template <int kDim>
TW_DEVICE void WriteRows(Running<kDim>& run, int first, int rows, Bf16* out, int64_t stride) {
  const int lane = static_cast<int>(simt::LaneId());
  TW_UNROLL
  for (int m = 0; m < 2; ++m)
    TW_UNROLL
    for (int half = 0; half < 2; ++half) {
      float sum = run.sum[m][half];
      sum += simt::ShuffleXor(sum, 1);
      sum += simt::ShuffleXor(sum, 2);
      const int row = first + m * 16 + half * 8 + (lane >> 2);
      if (row >= rows) continue;
      const float inverse = 1.0f / sum;
      Bf16* target = out + row * stride + (lane & 3) * 2;
      TW_UNROLL
      for (int d = 0; d < kDim / 8; ++d)
        *reinterpret_cast<uint32_t*>(target + d * 8) = PackBf16(run.out[m][d][2 * half] * inverse, run.out[m][d][2 * half + 1] * inverse);
    }
}

// x: query head, y: tile of rows, the longest contexts first, z: sequence.
template <int kDim>
__global__ void __launch_bounds__(kThreads) PrefillAttentionKernel(PrefillAttentionArgs a) {
  TW_SHARED_MEMORY(shared);
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const int head = blockIdx.x, sequence = blockIdx.z, kv_head = head / (a.query_heads / a.kv_heads);
  const int first_row = a.first_row[sequence], rows = a.first_row[sequence + 1] - first_row;
  const int first = static_cast<int>(gridDim.y - 1 - blockIdx.y) * kRows;
  if (first >= rows) return;
  const int past = a.context[sequence] - rows, warp_first = first + static_cast<int>(threadIdx.x >> 5) * kWarpRows;
  const int last = (first + kRows < rows ? first + kRows : rows) - 1, tiles = (past + last) / kKeys + 1;
  const int64_t stride = int64_t{a.query_heads} * kDim, offset = first_row * stride + head * kDim;
  const int32_t* table = a.tables.blocks + int64_t{sequence} * a.tables.stride;

  Bf16* q_tile = reinterpret_cast<Bf16*>(shared);
  Bf16* kv_tiles = q_tile + kRows * kDim;  // [2 buffers][K, V][kKeys][kDim]
  const int context = past + rows;
  int tile_block = TileBlock(table, 0, context);
  const auto start = [&](int tile) {
    Bf16* k = kv_tiles + (tile & 1) * 2 * kKeys * kDim;
    if (tile < tiles) {
      StartKeys<kDim>(a.kv, tile_block, kv_head, context - tile * kKeys, k, k + kKeys * kDim);
      tile_block = TileBlock(table, (tile + 1) * kKeys, context);
    }
    simt::CopyAsyncCommit();
  };
  StartQuery<kDim>(a.query + offset, stride, first, rows, q_tile);
  start(0);

  Running<kDim> run;
  TW_UNROLL
  for (int m = 0; m < 2; ++m) {
    TW_UNROLL
    for (int d = 0; d < kDim / 8; ++d)
      TW_UNROLL
      for (int i = 0; i < 4; ++i) run.out[m][d][i] = 0;
    TW_UNROLL
    for (int half = 0; half < 2; ++half) run.highest[m][half] = kMinusInfinity, run.sum[m][half] = 0;
  }
  const Bf16* q_warp = q_tile + (warp_first - first) * kDim;
  for (int tile = 0; tile < tiles; ++tile) {
    simt::CopyAsyncWait<0>();
    __syncthreads();
    start(tile + 1);
    const Bf16* k = kv_tiles + (tile & 1) * 2 * kKeys * kDim;
    TW_NO_UNROLL
    for (int span = 0; span < kKeys; span += kSpan) {
      const int key = tile * kKeys + span;
      if (key > past + warp_first + kWarpRows - 1) break;  // all of it lies after the warp's rows
      float score[2][kSpan / 8][4];
      Scores<kDim>(q_warp, k + span * kDim, score);
      if (key + kSpan - 1 > past + warp_first) MaskFuture(score, past + warp_first - key);
      Soften<kDim>(score, a.scale * 1.4426950408889634f, run);
      AddValues<kDim>(score, k + (kKeys + span) * kDim, run);
    }
  }
  WriteRows<kDim>(run, warp_first, rows, a.out + offset, stride);
}

template <int kDim>
void Enqueue(const LaunchContext& context, const PrefillAttentionArgs& a) {
  simt::Launch(context, PrefillAttentionKernel<kDim>,
               {static_cast<unsigned>(a.query_heads), static_cast<unsigned>((a.max_rows + kRows - 1) / kRows),
                static_cast<unsigned>(a.sequences)},
               kThreads, kSharedBytes<kDim>, a);
}

}  // namespace

void PrefillAttention(const LaunchContext& context, const PrefillAttentionArgs& args) {
  if (args.sequences == 0 || args.max_rows == 0) return;
  if (args.dim == 128) Enqueue<128>(context, args);
  if (args.dim == 64) Enqueue<64>(context, args);
}

}  // namespace tokenworks::kernels
