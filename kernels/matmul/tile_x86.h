// SPDX-License-Identifier: Apache-2.0
// The loop nest of the quantised products for x86, over a Dot policy (AVX2 or AVX-512-VNNI integer dots), for narrow
// and wide activations. Included only by the bodies, which are compiled with the instruction sets they need.
#pragma once

#include <immintrin.h>

#include "kernels/matmul/packed_matrix.h"
#include "kernels/quantize/quantize.h"

namespace tokenworks::kernels {

inline constexpr int kTokenTile = 64;  // activations of a tile stay in the second-level cache

inline __m256 LoadF16x8(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

inline __m256i Broadcast4(const int8_t* q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm256_set1_epi32(v);
}

inline void StoreRows(float* out, __m256 acc, int rows) {
  if (rows >= kRowGroup) {
    _mm256_storeu_ps(out, acc);
    return;
  }
  alignas(32) float tmp[8];
  _mm256_store_ps(tmp, acc);
  for (int r = 0; r < rows; ++r) out[r] = tmp[r];
}

template <typename Dot, int T, bool kWide>
inline void TileI4(const BlockI4x8* w, int blocks, const Activations& x, int t0, float* out, size_t stride, int rows) {
  const int8_t *q[T], *low[T];
  const float *d[T], *s[T];
  __m256 acc[T];
  for (int t = 0; t < T; ++t) {
    q[t] = x.q(t0 + t);
    low[t] = kWide ? x.low(t0 + t) : nullptr;
    d[t] = x.d(t0 + t);
    s[t] = x.s(t0 + t);
    acc[t] = _mm256_setzero_ps();
  }
  const __m256i nibble = _mm256_set1_epi8(15);
  for (int b = 0; b < blocks; ++b) {
    __m256i n[8];
    for (int v = 0; v < 4; ++v) {
      const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w[b].nibbles + v * 32));
      n[v] = _mm256_and_si256(both, nibble);
      n[v + 4] = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
    }
    if constexpr (T == 1) _mm_prefetch(reinterpret_cast<const char*>(w + b) + 1280, _MM_HINT_T0);
    if constexpr (T == 1) _mm_prefetch(reinterpret_cast<const char*>(w + b) + 1280 + 64, _MM_HINT_T0);
    if constexpr (T == 1) _mm_prefetch(reinterpret_cast<const char*>(w + b) + 1280 + 128, _MM_HINT_T0);
    const __m256 dw = LoadF16x8(w[b].d), mw = LoadF16x8(w[b].m);
    for (int t = 0; t < T; ++t) {
      const __m256i dot =
          kWide ? Dot::Unsigned4Wide(n, q[t] + b * 32, low[t] + b * 32) : Dot::Unsigned4(n, q[t] + b * 32);
      acc[t] = _mm256_fmadd_ps(mw, _mm256_broadcast_ss(s[t] + b), acc[t]);
      acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_broadcast_ss(d[t] + b)), _mm256_cvtepi32_ps(dot), acc[t]);
    }
  }
  for (int t = 0; t < T; ++t) StoreRows(out + t * stride, acc[t], rows);
}

template <typename Dot, int T, bool kWide>
inline void TileI8(const BlockI8x8* w, int blocks, const Activations& x, int t0, float* out, size_t stride, int rows) {
  __m256 acc[T];
  for (int t = 0; t < T; ++t) acc[t] = _mm256_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    if constexpr (T == 1)
      for (int line = 0; line < 4; ++line)
        _mm_prefetch(reinterpret_cast<const char*>(w + b) + 2176 + 64 * line, _MM_HINT_T0);
    const __m256 dw = LoadF16x8(w[b].d);
    for (int t = 0; t < T; ++t) {
      const int8_t* q = x.q(t0 + t) + b * 32;
      const int32_t sum = x.sum(t0 + t)[b];
      const __m256i dot =
          kWide ? Dot::Signed8Wide(w[b].q, q, x.low(t0 + t) + b * 32, sum) : Dot::Signed8(w[b].q, q, sum);
      acc[t] =
          _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_broadcast_ss(x.d(t0 + t) + b)), _mm256_cvtepi32_ps(dot), acc[t]);
    }
  }
  for (int t = 0; t < T; ++t) StoreRows(out + t * stride, acc[t], rows);
}

template <typename Dot, int T, bool kWide>
inline void TileAny(const PackedMatrix& w, int g, const Activations& x, int t0, float* out, size_t stride) {
  const int rows = w.rows() - g * kRowGroup;
  if (w.form() == WeightForm::kI4x8)
    TileI4<Dot, T, kWide>(w.i4x8(g), w.blocks(), x, t0, out + g * kRowGroup, stride, rows);
  else
    TileI8<Dot, T, kWide>(w.i8x8(g), w.blocks(), x, t0, out + g * kRowGroup, stride, rows);
}

template <typename Dot, bool kWide>
void MatmulTiles(const PackedMatrix& w, const Activations& x, int first_token, int tokens, int first_group,
                 int last_group, float* out, size_t stride) {
  for (int tile = 0; tile < tokens; tile += kTokenTile) {
    const int tile_end = tile + kTokenTile < tokens ? tile + kTokenTile : tokens;
    for (int g = first_group; g < last_group; ++g) {
      int t = tile;
      for (; t + Dot::kTokens <= tile_end; t += Dot::kTokens)
        TileAny<Dot, Dot::kTokens, kWide>(w, g, x, first_token + t, out + t * stride, stride);
      for (; t + 4 <= tile_end; t += 4) TileAny<Dot, 4, kWide>(w, g, x, first_token + t, out + t * stride, stride);
      for (; t + 2 <= tile_end; t += 2) TileAny<Dot, 2, kWide>(w, g, x, first_token + t, out + t * stride, stride);
      if (t < tile_end) TileAny<Dot, 1, kWide>(w, g, x, first_token + t, out + t * stride, stride);
    }
  }
}

template <typename Dot>
void MatmulX86(const PackedMatrix& w, const Activations& x, int first_token, int tokens, int first_group,
               int last_group, float* out, size_t stride) {
  (x.wide() ? MatmulTiles<Dot, true> : MatmulTiles<Dot, false>)(w, x, first_token, tokens, first_group, last_group, out,
                                                                stride);
}

}  // namespace tokenworks::kernels
