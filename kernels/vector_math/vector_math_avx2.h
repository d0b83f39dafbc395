// SPDX-License-Identifier: Apache-2.0
// Eight lanes of Ex2, same bits as the scalar form. Included only by AVX2 bodies.
#pragma once

#include <immintrin.h>

#include "kernels/vector_math/vector_math.h"

namespace tokenworks::kernels {

inline __m256 Ex2x8(__m256 x) {
  const __m256 n = _mm256_sub_ps(_mm256_add_ps(x, _mm256_set1_ps(kRoundMagic)), _mm256_set1_ps(kRoundMagic));
  const __m256 f = _mm256_sub_ps(x, n);
  __m256 p = _mm256_set1_ps(kEx2Poly[6]);
  for (int i = 5; i >= 0; --i) p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(kEx2Poly[i]));
  const __m256i shifted = _mm256_slli_epi32(_mm256_cvttps_epi32(n), 23);
  __m256 y = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), shifted));
  y = _mm256_blendv_ps(y, _mm256_set1_ps(std::numeric_limits<float>::infinity()),
                       _mm256_cmp_ps(x, _mm256_set1_ps(kEx2Highest), _CMP_GE_OQ));
  y = _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(kEx2Lowest), _CMP_LT_OQ), y);
  return _mm256_blendv_ps(y, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

// ((0+4)+(2+6)) + ((1+5)+(3+7))
inline float Tree8(__m256 v) {
  const __m128 a = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));  // 0+4 1+5 2+6 3+7
  const __m128 b = _mm_add_ps(a, _mm_movehl_ps(a, a));                                  // (0+4)+(2+6), (1+5)+(3+7)
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

inline float Max8(__m256 v) {
  const __m128 a = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 b = _mm_max_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

}  // namespace tokenworks::kernels
