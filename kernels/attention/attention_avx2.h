// SPDX-License-Identifier: Apache-2.0
// Attention of one row and one KV head for f16 KV. Included only by AVX2 bodies.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/attention/attention.h"
#include "kernels/kernel_set.h"
#include "kernels/vector_math/vector_math_avx2.h"

namespace tokenworks::kernels {

inline __m256 LoadHalf8(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }

// Scores of H query heads on positions [begin, end) (begin a multiple of 16) into p[h * kSegment]; maxima into m[h].
template <int H>
inline void ScoresAvx2(const AttentionShape& s, const AttentionRow& row, int kv_head, const float* q, int begin, int end, float* p, float* m) {
  const __m256 minus_inf = _mm256_set1_ps(-std::numeric_limits<float>::infinity());
  __m256 best[H];
  for (int h = 0; h < H; ++h) best[h] = minus_inf;
  const int last_block = (row.positions - 1) / kBlockTokens;
  const size_t plane = static_cast<size_t>(s.dim) * kBlockTokens;  // elements of one head
  for (int i = begin; i < end; i += kBlockTokens) {
    const int b = i / kBlockTokens;
    const std::byte* base = row.layer_base + row.blocks[b] * row.block_stride;
    const uint16_t* k = reinterpret_cast<const uint16_t*>(base) + plane * kv_head;
    const std::byte* next = row.layer_base + row.blocks[b + 4 < last_block ? b + 4 : last_block] * row.block_stride;
    const char* ahead_k = reinterpret_cast<const char*>(next) + plane * kv_head * 2;
    const char* ahead_v = ahead_k + s.k_bytes();
    __m256 a0[H], a1[H];
    for (int h = 0; h < H; ++h) a0[h] = a1[h] = _mm256_setzero_ps();
    for (int d = 0; d < s.dim; ++d) {
      const __m256 k0 = LoadHalf8(k + d * kBlockTokens), k1 = LoadHalf8(k + d * kBlockTokens + 8);
      _mm_prefetch((d & 1 ? ahead_v : ahead_k) + (d >> 1) * 64, _MM_HINT_T1);
      for (int h = 0; h < H; ++h) {
        const __m256 qd = _mm256_broadcast_ss(q + h * s.dim + d);
        a0[h] = _mm256_fmadd_ps(qd, k0, a0[h]);
        a1[h] = _mm256_fmadd_ps(qd, k1, a1[h]);
      }
    }
    for (int h = 0; h < H; ++h) {
      if (i + kBlockTokens > end) {
        alignas(32) float tail[16];
        _mm256_store_ps(tail, a0[h]);
        _mm256_store_ps(tail + 8, a1[h]);
        for (int j = end - i; j < kBlockTokens; ++j) tail[j] = -std::numeric_limits<float>::infinity();
        a0[h] = _mm256_load_ps(tail);
        a1[h] = _mm256_load_ps(tail + 8);
      }
      _mm256_storeu_ps(p + h * kSegment + (i - begin), a0[h]);
      _mm256_storeu_ps(p + h * kSegment + (i - begin) + 8, a1[h]);
      best[h] = _mm256_max_ps(a1[h], _mm256_max_ps(a0[h], best[h]));
    }
  }
  for (int h = 0; h < H; ++h) m[h] = Max8(best[h]);
}

// o[h * dim + first .. first + 8 NV) = sum over positions, ascending, of p * V.
template <int H, int NV>
inline void WeightedV(const AttentionShape& s, const AttentionRow& row, int kv_head, const float* p, int begin, int end, int first, float* o) {
  __m256 acc[H][NV];
  for (int h = 0; h < H; ++h)
    for (int v = 0; v < NV; ++v) acc[h][v] = _mm256_setzero_ps();
  const size_t k_bytes = s.k_bytes(), plane = static_cast<size_t>(s.dim) * kBlockTokens;
  for (int i = begin; i < end; i += kBlockTokens) {
    const std::byte* base = row.layer_base + row.blocks[i / kBlockTokens] * row.block_stride + k_bytes;
    const uint16_t* v_row = reinterpret_cast<const uint16_t*>(base) + plane * kv_head + first;
    const int n = end - i < kBlockTokens ? end - i : kBlockTokens;
    for (int j = 0; j < n; ++j, v_row += s.dim) {
      __m256 x[NV];
      for (int v = 0; v < NV; ++v) x[v] = LoadHalf8(v_row + 8 * v);
      for (int h = 0; h < H; ++h) {
        const __m256 weight = _mm256_broadcast_ss(p + h * kSegment + (i - begin) + j);
        for (int v = 0; v < NV; ++v) acc[h][v] = _mm256_fmadd_ps(weight, x[v], acc[h][v]);
      }
    }
  }
  for (int h = 0; h < H; ++h)
    for (int v = 0; v < NV; ++v) _mm256_storeu_ps(o + h * s.dim + first + 8 * v, acc[h][v]);
}

inline float ScoreScale(const AttentionShape& s) { return static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(s.dim))); }

// H query heads, already scaled, over positions [begin, end) of one segment: o[H][dim], maxima and sums of weights.
template <int H>
inline void SegmentOfHeads(const AttentionShape& s, const AttentionRow& row, int kv_head, const float* q, int begin, int end, float* p, float* o, float* m, float* l) {
  ScoresAvx2<H>(s, row, kv_head, q, begin, end, p, m);
  for (int h = 0; h < H; ++h) {
    __m256 lanes = _mm256_setzero_ps();
    const __m256 mv = _mm256_set1_ps(m[h]);
    for (int j = 0; j < end - begin; j += 8) {
      const __m256 e = Ex2x8(_mm256_sub_ps(_mm256_loadu_ps(p + h * kSegment + j), mv));
      _mm256_storeu_ps(p + h * kSegment + j, e);
      lanes = _mm256_add_ps(lanes, e);
    }
    l[h] = Tree8(lanes);
  }
  int first = 0;
  for (; first + 32 <= s.dim; first += 32) WeightedV<H, 4>(s, row, kv_head, p, begin, end, first, o);
  for (; first < s.dim; first += 8) WeightedV<H, 1>(s, row, kv_head, p, begin, end, first, o);
}

// What the segments so far give for one query head.
struct RunningHead {
  float m = -std::numeric_limits<float>::infinity(), l = 0;
  // Takes the next segment's maximum, sum and o into total[dim].
  void Take(float m_next, float l_next, const float* o, int dim, float* total) {
    const float m_new = m > m_next ? m : m_next, a = Ex2(m - m_new), b = Ex2(m_next - m_new);
    l = std::fma(l, a, l_next * b);
    const __m256 av = _mm256_set1_ps(a), bv = _mm256_set1_ps(b);
    for (int d = 0; d < dim; d += 8)
      _mm256_storeu_ps(total + d, _mm256_fmadd_ps(_mm256_loadu_ps(total + d), av, _mm256_mul_ps(_mm256_loadu_ps(o + d), bv)));
    m = m_new;
  }
  void Finish(const float* total, int dim, float* out) const {
    const __m256 inverse = _mm256_set1_ps(1.0f / l);
    for (int d = 0; d < dim; d += 8) _mm256_storeu_ps(out + d, _mm256_mul_ps(_mm256_loadu_ps(total + d), inverse));
  }
};

template <int H>
inline void AttendHeads(const AttentionShape& s, const AttentionRow& row, int kv_head, int first_head, float* scratch) {
  const float scale = ScoreScale(s);
  float *p = scratch, *q = p + H * kSegment, *o = q + H * s.dim, *total = o + H * s.dim;
  for (int i = 0; i < H * s.dim; ++i) q[i] = row.q[first_head * s.dim + i] * scale;
  std::memset(total, 0, sizeof(float) * H * s.dim);
  RunningHead running[H];
  for (int begin = 0; begin < row.positions; begin += kSegment) {
    float m[H], l[H];
    SegmentOfHeads<H>(s, row, kv_head, q, begin, begin + kSegment < row.positions ? begin + kSegment : row.positions, p, o, m, l);
    for (int h = 0; h < H; ++h) running[h].Take(m[h], l[h], o + h * s.dim, s.dim, total + h * s.dim);
  }
  for (int h = 0; h < H; ++h) running[h].Finish(total + h * s.dim, s.dim, row.out + (first_head + h) * s.dim);
}

template <int H>
inline void SegmentHeads(const AttentionShape& s, const AttentionRow& row, int kv_head, int first_head, int segment, float* result, float* scratch) {
  const float scale = ScoreScale(s);
  const int begin = segment * kSegment;
  float *p = scratch, *q = p + H * kSegment, *o = q + H * s.dim, m[H], l[H];
  for (int i = 0; i < H * s.dim; ++i) q[i] = row.q[first_head * s.dim + i] * scale;
  SegmentOfHeads<H>(s, row, kv_head, q, begin, begin + kSegment < row.positions ? begin + kSegment : row.positions, p, o, m, l);
  for (int h = 0; h < H; ++h, result += s.dim + 2) {
    std::memcpy(result, o + h * s.dim, sizeof(float) * s.dim);
    result[s.dim] = m[h];
    result[s.dim + 1] = l[h];
  }
}

// Calls f<H>(first head of the group) for parts of at most three heads.
template <typename F>
inline void InThrees(int group, F f) {
  int h = 0;
  for (; h + 3 <= group; h += 3) f.template operator()<3>(h);
  for (; h + 2 <= group; h += 2) f.template operator()<2>(h);
  for (; h < group; ++h) f.template operator()<1>(h);
}

inline void AttendAvx2(const AttentionShape& s, const AttentionRow& row, int kv_head, float* scratch) {
  if (s.f32 || s.dim % 8 != 0) return ScalarKernels().attend(s, row, kv_head, scratch);
  const int group = s.query_heads / s.kv_heads;
  InThrees(group, [&]<int H>(int h) { AttendHeads<H>(s, row, kv_head, kv_head * group + h, scratch); });
}

inline void AttendSegmentAvx2(const AttentionShape& s, const AttentionRow& row, int kv_head, int segment, float* result, float* scratch) {
  if (s.f32 || s.dim % 8 != 0) return ScalarKernels().attend_segment(s, row, kv_head, segment, result, scratch);
  const int group = s.query_heads / s.kv_heads;
  InThrees(group, [&]<int H>(int h) { SegmentHeads<H>(s, row, kv_head, kv_head * group + h, segment, result + h * (s.dim + 2), scratch); });
}

inline void CombineSegmentsAvx2(const AttentionShape& s, const float* results, int segments, int kv_head, float* out) {
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
