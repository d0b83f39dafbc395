// SPDX-License-Identifier: Apache-2.0
// The 512-bit policy of attention_x86.h. Included only by the AVX-512 bodies.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace tokenworks::kernels {

struct Vector512 {
  static constexpr int kLanes = 16, kRowsTogether = 4, kAccumulators = 24;
  using Register = __m512;
  static Register Zero() { return _mm512_setzero_ps(); }
  static Register Half(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Register Broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static Register Load(const float* p) { return _mm512_loadu_ps(p); }
  static Register Fma(Register a, Register b, Register c) { return _mm512_fmadd_ps(a, b, c); }
  static void Store(float* p, Register v) { _mm512_storeu_ps(p, v); }
};

}  // namespace tokenworks::kernels
