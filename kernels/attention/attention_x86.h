// SPDX-License-Identifier: Apache-2.0
// Attention of rows against one KV head for f16 KV, over a vector policy V (256 or 512 bits). Neighbouring rows of one
// sequence are taken together: each K and V is widened once for all their heads. Included only by the x86 bodies.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/attention/attention.h"
#include "kernels/kernel_set.h"
#include "kernels/vector_math/vector_math_avx2.h"

namespace tokenworks::kernels {

inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct Vector256 {
  static constexpr int kLanes = 8, kRowsTogether = 2, kAccumulators = 12;
  using Register = __m256;
  static Register Zero() { return _mm256_setzero_ps(); }
  static Register Half(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Register Broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static Register Load(const float* p) { return _mm256_loadu_ps(p); }
  static Register Fma(Register a, Register b, Register c) { return _mm256_fmadd_ps(a, b, c); }
  static void Store(float* p, Register v) { _mm256_storeu_ps(p, v); }
};

// Below, H pairs of (row, query head) share one KV head: pair h is head h % kHeads of row h / kHeads.

// Scores of kBlocks blocks of positions from `i` on into p[h * kSegment].
template <typename V, int R, int kHeads, int kBlocks>
inline void ScoreBlocks(const AttentionShape& s, const AttentionRow& row, int kv_head, const float* q, int i,
                        float* p) {
  constexpr int H = R * kHeads, kInBlock = kBlockTokens / V::kLanes, kParts = kBlocks * kInBlock;
  const size_t plane = static_cast<size_t>(s.dim) * kBlockTokens;  // elements of one head
  const uint16_t* k[kBlocks];
  const char* ahead[kBlocks];
  const int last = (row.positions - 1) / kBlockTokens;
  for (int b = 0; b < kBlocks; ++b) {
    const int block = i / kBlockTokens + b;
    k[b] = reinterpret_cast<const uint16_t*>(row.layer_base + row.blocks[block] * row.block_stride) + plane * kv_head;
    ahead[b] =
        reinterpret_cast<const char*>(row.layer_base + row.blocks[std::min(block + 4, last)] * row.block_stride) +
        plane * kv_head * 2;
  }
  typename V::Register a[H][kParts];
  for (int h = 0; h < H; ++h)
    for (int part = 0; part < kParts; ++part) a[h][part] = V::Zero();
  for (int d = 0; d < s.dim; ++d) {
    typename V::Register x[kParts];
    for (int part = 0; part < kParts; ++part)
      x[part] = V::Half(k[part / kInBlock] + d * kBlockTokens + part % kInBlock * V::kLanes);
    if constexpr (R == 1)  // decode: the next blocks come from memory
      for (int b = 0; b < kBlocks; ++b) _mm_prefetch(ahead[b] + (d & 1 ? s.k_bytes() : 0) + (d >> 1) * 64, _MM_HINT_T1);
#pragma GCC unroll 12
    for (int h = 0; h < H; ++h) {
      const typename V::Register qd = V::Broadcast(q + h * s.dim + d);
      for (int part = 0; part < kParts; ++part) a[h][part] = V::Fma(qd, x[part], a[h][part]);
    }
  }
  for (int h = 0; h < H; ++h)
    for (int part = 0; part < kParts; ++part) V::Store(p + h * kSegment + part * V::kLanes, a[h][part]);
}

// Scores of the positions [begin, end) of a segment into p[h * kSegment]. A row's positions after its own get
// -infinity.
template <typename V, int R, int kHeads>
inline void Scores(const AttentionShape& s, const AttentionRow& row, int kv_head, const float* q, int begin, int end,
                   float* p) {
  // A row alone has too few chains to hide an FMA's latency: two blocks at a time where registers allow.
  constexpr int kBlocks = R == 1 && kHeads * 2 * kBlockTokens / V::kLanes <= V::kAccumulators ? 2 : 1;
  int i = begin;
  for (; i + (kBlocks - 1) * kBlockTokens < end; i += kBlocks * kBlockTokens)
    ScoreBlocks<V, R, kHeads, kBlocks>(s, row, kv_head, q, i, p + (i - begin));
  for (; i < end; i += kBlockTokens) ScoreBlocks<V, R, kHeads, 1>(s, row, kv_head, q, i, p + (i - begin));
  const int padded = (end - begin + kBlockTokens - 1) / kBlockTokens * kBlockTokens;
  for (int h = 0; h < R * kHeads; ++h)
    std::fill(p + h * kSegment + std::min(row.positions + h / kHeads - begin, padded), p + h * kSegment + padded,
              kMinusInfinity);
}

// Scores to weights: the maximum, p = ex2(score - maximum), and their sum in eight lanes.
inline void Weights(float* p, int count, float* m, float* l) {
  __m256 best = _mm256_set1_ps(kMinusInfinity), lanes = _mm256_setzero_ps();
  for (int j = 0; j < count; j += 8) best = _mm256_max_ps(_mm256_loadu_ps(p + j), best);
  *m = Max8(best);
  const __m256 mv = _mm256_set1_ps(*m);
  for (int j = 0; j < count; j += 8) {
    const __m256 e = Ex2x8(_mm256_sub_ps(_mm256_loadu_ps(p + j), mv));
    _mm256_storeu_ps(p + j, e);
    lanes = _mm256_add_ps(lanes, e);
  }
  *l = Tree8(lanes);
}

// o[h * dim + first .. + N registers) = sum over positions, ascending, of p * V; each row's own last positions apart,
// so that no V meets a weight that is not its row's.
template <typename V, int R, int kHeads, int N>
inline void WeightedV(const AttentionShape& s, const AttentionRow& row, int kv_head, const float* p, int begin, int end,
                      int first, float* o) {
  constexpr int H = R * kHeads;
  const size_t k_bytes = s.k_bytes(), plane = static_cast<size_t>(s.dim) * kBlockTokens;
  const auto values = [&](int position) {
    const std::byte* base = row.layer_base + row.blocks[position / kBlockTokens] * row.block_stride + k_bytes;
    return reinterpret_cast<const uint16_t*>(base) + plane * kv_head +
           static_cast<size_t>(position % kBlockTokens) * s.dim + first;
  };
  typename V::Register acc[H][N];
  for (int h = 0; h < H; ++h)
    for (int n = 0; n < N; ++n) acc[h][n] = V::Zero();
  const int common = std::min(end, row.positions);
  for (int i = begin; i < common; i += kBlockTokens) {
    const uint16_t* v = values(i);
    const int count = std::min(common - i, kBlockTokens);
    for (int j = 0; j < count; ++j, v += s.dim) {
      typename V::Register x[N];
      for (int n = 0; n < N; ++n) x[n] = V::Half(v + n * V::kLanes);
#pragma GCC unroll 12
      for (int h = 0; h < H; ++h) {
        const typename V::Register weight = V::Broadcast(p + h * kSegment + (i - begin) + j);
        for (int n = 0; n < N; ++n) acc[h][n] = V::Fma(weight, x[n], acc[h][n]);
      }
    }
  }
  for (int h = 0; h < H; ++h)
    for (int n = 0; n < N; ++n) V::Store(o + h * s.dim + first + n * V::kLanes, acc[h][n]);
  for (int position = common; position < end; ++position)
    for (int h = (position - row.positions + 1) * kHeads; h < H; ++h)
      for (int n = 0; n < N; ++n) {
        float* at = o + h * s.dim + first + n * V::kLanes;
        V::Store(at, V::Fma(V::Broadcast(p + h * kSegment + position - begin),
                            V::Half(values(position) + n * V::kLanes), V::Load(at)));
      }
}

// One segment for H pairs with scaled queries q[H][dim]: o[H][dim], maxima and sums of weights.
template <typename V, int R, int kHeads>
inline void SegmentOfPairs(const AttentionShape& s, const AttentionRow& row, int kv_head, const float* q, int begin,
                           int end, float* p, float* o, float* m, float* l) {
  constexpr int H = R * kHeads,
                kWide = std::min(V::kAccumulators / H, 4) >= 4 ? 4 : std::max(1, V::kAccumulators / H >= 2 ? 2 : 1);
  Scores<V, R, kHeads>(s, row, kv_head, q, begin, end, p);
  for (int h = 0; h < H; ++h) Weights(p + h * kSegment, (end - begin + 7) / 8 * 8, &m[h], &l[h]);
  int first = 0;
  for (; first + kWide * V::kLanes <= s.dim; first += kWide * V::kLanes)
    WeightedV<V, R, kHeads, kWide>(s, row, kv_head, p, begin, end, first, o);
  for (; first < s.dim; first += V::kLanes) WeightedV<V, R, kHeads, 1>(s, row, kv_head, p, begin, end, first, o);
}

// What the segments so far give for one query head.
struct RunningHead {
  float m = kMinusInfinity, l = 0;
  // Takes the next segment's maximum, sum and o into total[dim].
  void Take(float m_next, float l_next, const float* o, int dim, float* total) {
    const float m_new = m > m_next ? m : m_next, a = Ex2(m - m_new), b = Ex2(m_next - m_new);
    l = std::fma(l, a, l_next * b);
    const __m256 av = _mm256_set1_ps(a), bv = _mm256_set1_ps(b);
    for (int d = 0; d < dim; d += 8)
      _mm256_storeu_ps(total + d,
                       _mm256_fmadd_ps(_mm256_loadu_ps(total + d), av, _mm256_mul_ps(_mm256_loadu_ps(o + d), bv)));
    m = m_new;
  }
  void Finish(const float* total, int dim, float* out) const {
    const __m256 inverse = _mm256_set1_ps(1.0f / l);
    for (int d = 0; d < dim; d += 8) _mm256_storeu_ps(out + d, _mm256_mul_ps(_mm256_loadu_ps(total + d), inverse));
  }
};

// q[pair][dim] = the queries of R rows, scaled.
template <int R, int kHeads>
inline void ScaleQueries(const AttentionShape& s, const AttentionRow& row, int first_head, float* q) {
  const float scale = static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(s.dim)));
  for (int h = 0; h < R * kHeads; ++h)
    for (int d = 0; d < s.dim; ++d)
      q[h * s.dim + d] = row.q[((h / kHeads) * s.query_heads + first_head + h % kHeads) * s.dim + d] * scale;
}

// R neighbouring rows whose last segment is the same.
template <typename V, int R, int kHeads>
inline void AttendPairs(const AttentionShape& s, const AttentionRow& row, int kv_head, int first_head, float* scratch) {
  constexpr int H = R * kHeads;
  float *p = scratch, *q = p + H * kSegment, *o = q + H * s.dim, *total = o + H * s.dim;
  ScaleQueries<R, kHeads>(s, row, first_head, q);
  std::memset(total, 0, sizeof(float) * H * s.dim);
  RunningHead running[H];
  const int positions = row.positions + R - 1;
  for (int begin = 0; begin < positions; begin += kSegment) {
    float m[H], l[H];
    SegmentOfPairs<V, R, kHeads>(s, row, kv_head, q, begin, std::min(begin + kSegment, positions), p, o, m, l);
    for (int h = 0; h < H; ++h) running[h].Take(m[h], l[h], o + h * s.dim, s.dim, total + h * s.dim);
  }
  for (int h = 0; h < H; ++h)
    running[h].Finish(total + h * s.dim, s.dim,
                      row.out + ((h / kHeads) * s.query_heads + first_head + h % kHeads) * s.dim);
}

template <typename V, int kHeads>
inline void SegmentHeads(const AttentionShape& s, const AttentionRow& row, int kv_head, int first_head, int segment,
                         float* result, float* scratch) {
  const int begin = segment * kSegment;
  float *p = scratch, *q = p + kHeads * kSegment, *o = q + kHeads * s.dim, m[kHeads], l[kHeads];
  ScaleQueries<1, kHeads>(s, row, first_head, q);
  SegmentOfPairs<V, 1, kHeads>(s, row, kv_head, q, begin, std::min(begin + kSegment, row.positions), p, o, m, l);
  for (int h = 0; h < kHeads; ++h, result += s.dim + 2) {
    std::memcpy(result, o + h * s.dim, sizeof(float) * s.dim);
    result[s.dim] = m[h];
    result[s.dim + 1] = l[h];
  }
}

// Calls f<heads>(first head of the group) for parts of at most three heads; four are two and two.
template <typename F>
inline void InParts(int group, F f) {
  for (int h = 0; h < group;) {
    const int left = group - h;
    if (left == 3 || left > 4)
      f.template operator()<3>(h), h += 3;
    else if (left >= 2)
      f.template operator()<2>(h), h += 2;
    else
      f.template operator()<1>(h), h += 1;
  }
}

template <typename V>
inline bool Fits(const AttentionShape& s) {
  return !s.f32 && s.dim % V::kLanes == 0;
}

template <typename V>
inline void AttendX86(const AttentionShape& s, const AttentionRow& first_row, int rows, int kv_head, float* scratch) {
  const int group = s.query_heads / s.kv_heads;
  const size_t stride = static_cast<size_t>(s.query_heads) * s.dim;
  for (int r = 0, together; r < rows; r += together) {
    AttentionRow row = first_row;
    row.q += stride * r;
    row.out += stride * r;
    row.positions += r;
    const int in_segment = kSegment - (row.positions - 1) % kSegment,
              most = std::min({rows - r, in_segment, V::kRowsTogether});
    together = most >= 4 ? 4 : most >= 2 ? 2 : 1;
    InParts(group, [&]<int H>(int h) {
      if (together == 1) return AttendPairs<V, 1, H>(s, row, kv_head, kv_head * group + h, scratch);
      if constexpr (V::kRowsTogether >= 4)
        if (together == 4) return AttendPairs<V, 4, H>(s, row, kv_head, kv_head * group + h, scratch);
      AttendPairs<V, 2, H>(s, row, kv_head, kv_head * group + h, scratch);
    });
  }
}

template <typename V>
inline void AttendSegmentX86(const AttentionShape& s, const AttentionRow& row, int kv_head, int segment, float* result,
                             float* scratch) {
  const int group = s.query_heads / s.kv_heads;
  InParts(group, [&]<int H>(int h) {
    SegmentHeads<V, H>(s, row, kv_head, kv_head * group + h, segment, result + h * (s.dim + 2), scratch);
  });
}

inline void CombineSegmentsX86(const AttentionShape& s, const float* results, int segments, int kv_head, float* out) {
  if (s.dim % 8 != 0) return ScalarKernels().combine_segments(s, results, segments, kv_head, out);
  const int group = s.query_heads / s.kv_heads;
  for (int h = 0; h < group; ++h) {
    float* total = out + (kv_head * group + h) * s.dim;
    std::memset(total, 0, sizeof(float) * s.dim);
    RunningHead running;
    for (int g = 0; g < segments; ++g) {
      const float* r = results + g * SegmentFloats(s) + h * (s.dim + 2);
      running.Take(r[s.dim], r[s.dim + 1], r, s.dim, total);
    }
    running.Finish(total, s.dim, total);
  }
}

}  // namespace tokenworks::kernels
