// SPDX-License-Identifier: Apache-2.0
// Quantised products with AVX-512-VNNI on 512-bit vectors: two row groups (16 rows) at a time, T tokens in registers.
// Included only by the AVX-512 bodies.
#pragma once

#include <immintrin.h>

#include <algorithm>

#include "kernels/matmul/packed_matrix.h"
#include "kernels/quantize/quantize.h"

namespace tokenworks::kernels {

inline constexpr int kTokens512 = 12, kTokenTile512 = 96;  // a tile's activations stay in the second-level cache

inline __m512i Join(const void* low, const void* high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(static_cast<const __m256i*>(low))),
                            _mm256_loadu_si256(static_cast<const __m256i*>(high)), 1);
}
inline __m512 JoinF16(const uint16_t* low, const uint16_t* high) {
  return _mm512_cvtph_ps(
      _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low))),
                              _mm_loadu_si128(reinterpret_cast<const __m128i*>(high)), 1));
}
inline __m512i Broadcast512(const int8_t* q) {
  int32_t v;
  __builtin_memcpy(&v, q, 4);
  return _mm512_set1_epi32(v);
}

// acc plus the dot products of eight vectors of unsigned bytes and 32 activations; kSplit: in two chains.
template <bool kSplit>
inline __m512i Dots(__m512i acc, const __m512i* n, const int8_t* q) {
  if constexpr (!kSplit) {
#pragma GCC unroll 8
    for (int v = 0; v < 8; ++v) acc = _mm512_dpbusd_epi32(acc, n[v], Broadcast512(q + v * 4));
    return acc;
  }
  __m512i other = _mm512_setzero_si512();
  for (int v = 0; v < 8; v += 2) {
    acc = _mm512_dpbusd_epi32(acc, n[v], Broadcast512(q + v * 4));
    other = _mm512_dpbusd_epi32(other, n[v + 1], Broadcast512(q + v * 4 + 4));
  }
  return _mm512_add_epi32(acc, other);
}

// The weights of one block of two row groups, as unsigned bytes with a scale each.
struct PairI4 {
  using Block = BlockI4x8;
  __m512i n[8];
  __m512 d, m;
  void Load(const Block& a, const Block& b) {
    const __m512i nibble = _mm512_set1_epi8(15);
    for (int v = 0; v < 4; ++v) {
      const __m512i both = Join(a.nibbles + v * 32, b.nibbles + v * 32);
      n[v] = _mm512_and_si512(both, nibble);
      n[v + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
    }
    d = JoinF16(a.d, b.d);
    m = JoinF16(a.m, b.m);
  }
  static __m512i Start(int32_t) { return _mm512_setzero_si512(); }
  __m512 Minimum(__m512 acc, float s) const { return _mm512_fmadd_ps(m, _mm512_set1_ps(s), acc); }
};

// w + 128 is unsigned; 128 * sum(Q) is taken off again. Exact in int32.
struct PairI8 {
  using Block = BlockI8x8;
  __m512i n[8];
  __m512 d;
  void Load(const Block& a, const Block& b) {
    const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
    for (int v = 0; v < 8; ++v) n[v] = _mm512_xor_si512(Join(a.q + v * 32, b.q + v * 32), flip);
    d = JoinF16(a.d, b.d);
  }
  static __m512i Start(int32_t sum) { return _mm512_set1_epi32(-128 * sum); }
  __m512 Minimum(__m512 acc, float) const { return acc; }
};

template <typename Pair, int T, bool kWide>
inline void TilePair(const typename Pair::Block* first, const typename Pair::Block* second, int blocks,
                     const Activations& x, int t0, float* out, size_t stride, __mmask16 rows) {
  __m512 acc[T];
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) acc[t] = _mm512_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    if constexpr (T <= 8)  // few tokens: the weights come from memory
      for (size_t line = 0; line < sizeof(typename Pair::Block); line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(first + b) + 8 * sizeof(typename Pair::Block) + line, _MM_HINT_T0);
        _mm_prefetch(reinterpret_cast<const char*>(second + b) + 8 * sizeof(typename Pair::Block) + line, _MM_HINT_T0);
      }
    Pair w;
    w.Load(first[b], second[b]);
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      const int token = t0 + t;
      const __m512i start = Pair::Start(x.sum(token)[b]);
      __m512i dot;
      if constexpr (kWide)
        dot = _mm512_add_epi32(_mm512_slli_epi32(Dots<T <= 2>(_mm512_setzero_si512(), w.n, x.q(token) + b * 32), 7),
                               Dots<T <= 2>(start, w.n, x.low(token) + b * 32));
      else
        dot = Dots<T <= 2>(start, w.n, x.q(token) + b * 32);
      acc[t] = w.Minimum(acc[t], x.s(token)[b]);
      acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(w.d, _mm512_set1_ps(x.d(token)[b])), _mm512_cvtepi32_ps(dot), acc[t]);
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) _mm512_mask_storeu_ps(out + static_cast<size_t>(t) * stride, rows, acc[t]);
}

// Tokens [t, end) of one pair of groups in tiles of T, then of fewer.
template <typename Pair, int T, bool kWide>
inline void TokensOfPair(const typename Pair::Block* a, const typename Pair::Block* b, int blocks, const Activations& x,
                         int first_token, int t, int end, float* out, size_t stride, __mmask16 rows) {
  for (; t + T <= end; t += T)
    TilePair<Pair, T, kWide>(a, b, blocks, x, first_token + t, out + static_cast<size_t>(t) * stride, stride, rows);
  if constexpr (T > 1)
    if (t < end)
      TokensOfPair<Pair, T == 12 ? 8 : T / 2, kWide>(a, b, blocks, x, first_token, t, end, out, stride, rows);
}

// Groups [first, last); an odd last group is paired with itself and stored once.
template <typename Pair, bool kWide, typename BlocksOf>
inline void MatmulPairs(BlocksOf blocks_of, const PackedMatrix& w, const Activations& x, int first_token, int tokens,
                        int first, int last, float* out, size_t stride) {
  for (int tile = 0; tile < tokens; tile += kTokenTile512) {
    const int end = std::min(tile + kTokenTile512, tokens);
    for (int g = first; g < last; g += 2) {
      const int pair = g + 1 < last ? g + 1 : g, rows = std::min(w.rows() - g * kRowGroup, (pair - g + 1) * kRowGroup);
      TokensOfPair<Pair, kTokens512, kWide>(blocks_of(g), blocks_of(pair), w.blocks(), x, first_token, tile, end,
                                            out + g * kRowGroup, stride, static_cast<__mmask16>((1u << rows) - 1));
    }
  }
}

inline void MatmulAvx512(const PackedMatrix& w, const Activations& x, int first_token, int tokens, int first_group,
                         int last_group, float* out, size_t stride) {
  const auto i4 = [&](int g) { return w.i4x8(g); };
  const auto i8 = [&](int g) { return w.i8x8(g); };
  const auto run = [&](auto matmul, auto blocks_of) {
    matmul(blocks_of, w, x, first_token, tokens, first_group, last_group, out, stride);
  };
  if (w.form() == WeightForm::kI4x8)
    x.wide() ? run(MatmulPairs<PairI4, true, decltype(i4)>, i4) : run(MatmulPairs<PairI4, false, decltype(i4)>, i4);
  else
    x.wide() ? run(MatmulPairs<PairI8, true, decltype(i8)>, i8) : run(MatmulPairs<PairI8, false, decltype(i8)>, i8);
}

}  // namespace tokenworks::kernels
