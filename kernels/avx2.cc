// SPDX-License-Identifier: Apache-2.0
// The AVX2 bodies. Compiled with -mavx2 -mfma -mf16c; reached only where the CPU has them.
#include "kernels/kernel_set.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <cstring>

#include "kernels/attention/attention_x86.h"
#include "kernels/matmul/tile_x86.h"
#include "kernels/rope/rope.h"

namespace tokenworks::kernels {
namespace {

struct Avx2Dot {
  static constexpr int kTokens = 4;
  // Nibbles are 0..15 and |q| <= 127: eight pair sums stay below 30,480 and fit int16, so one widening does.
  static __m256i Unsigned4(const __m256i* n, const int8_t* q) {
    __m256i sum = _mm256_maddubs_epi16(n[0], Broadcast4(q));
    for (int v = 1; v < 8; ++v) {
      sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(n[v], Broadcast4(q + v * 4)));
      asm volatile("" : "+x"(sum));  // gcc 12 re-associates the adds and spills otherwise
    }
    return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
  }
  static __m256i Unsigned4Wide(const __m256i* n, const int8_t* q, const int8_t* low) {
    return _mm256_add_epi32(_mm256_slli_epi32(Unsigned4(n, q), 7), Unsigned4(n, low));
  }
  // |w| <= 128 and |q| <= 127: a pair sum is at most 32,512.
  static __m256i Signed8(const int8_t* w, const int8_t* q, int32_t) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum = _mm256_setzero_si256();
    for (int v = 0; v < 8; ++v) {
      const __m256i wv = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + v * 32));
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(wv), _mm256_sign_epi8(Broadcast4(q + v * 4), wv));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
    return sum;
  }
  static __m256i Signed8Wide(const int8_t* w, const int8_t* q, const int8_t* low, int32_t sum) {
    return _mm256_add_epi32(_mm256_slli_epi32(Signed8(w, q, sum), 7), Signed8(w, low, sum));
  }
};

// Sum of eight lanes.
int32_t Sum8(__m256i v) {
  const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i quarter = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(quarter, _mm_shuffle_epi32(quarter, 0xB1)));
}

// Stores 32 int32 in int8 range as int8; returns their sum.
int32_t Store32(int8_t* out, const __m256i* n) {
  const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]), _mm256_packs_epi32(n[2], n[3]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                      _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  return Sum8(_mm256_add_epi32(_mm256_add_epi32(n[0], n[1]), _mm256_add_epi32(n[2], n[3])));
}

void QuantizeRow(const float* x, int k, ActivationRow row) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
  for (int b = 0; b < k / kQuantBlock; ++b) {
    __m256 v[4], best = _mm256_setzero_ps();
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm256_loadu_ps(x + b * 32 + i * 8);
      best = _mm256_max_ps(_mm256_and_ps(v[i], magnitude), best);
    }
    const float largest = Max8(best);
    int8_t *q = row.q + b * 32, *low = row.low == nullptr ? nullptr : row.low + b * 32;
    if (!(largest >= kQuantZeroBelow)) {
      std::memset(q, 0, 32);
      if (low != nullptr) std::memset(low, 0, 32);
      row.d[b] = row.s[b] = 0;
      row.sum[b] = 0;
      continue;
    }
    const __m256 inverse = _mm256_set1_ps(127.0f / largest);
    __m256i n[4];
    for (int i = 0; i < 4; ++i) {
      v[i] = _mm256_mul_ps(v[i], inverse);
      n[i] = _mm256_cvtps_epi32(v[i]);
    }
    int32_t sum = Store32(q, n);
    row.d[b] = largest / 127.0f;
    if (low != nullptr) {
      const __m256 factor = _mm256_set1_ps(kWideFactor);
      for (int i = 0; i < 4; ++i)
        n[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(v[i], _mm256_cvtepi32_ps(n[i])), factor));
      sum = sum * kWideFactor + Store32(low, n);
      row.d[b] *= 1.0f / kWideFactor;
    }
    row.s[b] = row.d[b] * static_cast<float>(sum);
    row.sum[b] = sum;
  }
}

void MatmulFloat(const PackedMatrix& w, const float* x, size_t x_stride, int tokens, int first_group, int last_group,
                 float* out, size_t stride) {
  for (int g = first_group; g < last_group; ++g) {
    const float* columns = w.f32x8(g);
    const int rows = w.rows() - g * kRowGroup;
    int t = 0;
    for (; t + 4 <= tokens; t += 4) {
      __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
      for (int c = 0; c < w.columns(); ++c) {
        const __m256 wv = _mm256_loadu_ps(columns + c * kRowGroup);
        for (int j = 0; j < 4; ++j)
          acc[j] = _mm256_fmadd_ps(wv, _mm256_broadcast_ss(x + (t + j) * x_stride + c), acc[j]);
      }
      for (int j = 0; j < 4; ++j) StoreRows(out + (t + j) * stride + g * kRowGroup, acc[j], rows);
    }
    for (; t < tokens; ++t) {
      __m256 acc = _mm256_setzero_ps();
      for (int c = 0; c < w.columns(); ++c)
        acc = _mm256_fmadd_ps(_mm256_loadu_ps(columns + c * kRowGroup), _mm256_broadcast_ss(x + t * x_stride + c), acc);
      StoreRows(out + t * stride + g * kRowGroup, acc, rows);
    }
  }
}

void Attend(const AttentionShape& s, const AttentionRow& first, int rows, int kv_head, float* scratch) {
  (Fits<Vector256>(s) ? AttendX86<Vector256> : ScalarKernels().attend)(s, first, rows, kv_head, scratch);
}

void AttendSegment(const AttentionShape& s, const AttentionRow& row, int kv_head, int segment, float* result,
                   float* scratch) {
  (Fits<Vector256>(s) ? AttendSegmentX86<Vector256> : ScalarKernels().attend_segment)(s, row, kv_head, segment, result,
                                                                                      scratch);
}

void RmsNorm(const float* x, const float* g, int n, float epsilon, float* y) {
  if (n % 32 != 0) {
    ScalarKernels().rms_norm(x, g, n, epsilon, y);
    return;
  }
  __m256 a[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
  for (int i = 0; i < n; i += 32)
    for (int v = 0; v < 4; ++v) {
      const __m256 xv = _mm256_loadu_ps(x + i + v * 8);
      a[v] = _mm256_fmadd_ps(xv, xv, a[v]);
    }
  const float total = Tree8(_mm256_add_ps(_mm256_add_ps(a[0], a[2]), _mm256_add_ps(a[1], a[3])));
  const __m256 r = _mm256_set1_ps(1.0f / std::sqrt(total / static_cast<float>(n) + epsilon));
  for (int i = 0; i < n; i += 8)
    _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), r), _mm256_loadu_ps(g + i)));
}

void SiluMul(const float* gate, const float* up, int n, float* y) {
  int i = 0;
  const __m256 one = _mm256_set1_ps(1.0f), factor = _mm256_set1_ps(-kLog2e);
  for (; i + 8 <= n; i += 8) {
    const __m256 g = _mm256_loadu_ps(gate + i);
    const __m256 s = _mm256_div_ps(g, _mm256_add_ps(one, Ex2x8(_mm256_mul_ps(g, factor))));
    _mm256_storeu_ps(y + i, _mm256_mul_ps(s, _mm256_loadu_ps(up + i)));
  }
  ScalarKernels().silu_mul(gate + i, up + i, n - i, y + i);
}

void Add(const float* x, int n, float* y) {
  int i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
  for (; i < n; ++i) y[i] += x[i];
}

float LogSumExp(const float* x, int n) {
  if (n % 8 != 0) return ScalarKernels().log_sum_exp(x, n);
  __m256 best = _mm256_set1_ps(-std::numeric_limits<float>::infinity());
  for (int i = 0; i < n; i += 8) best = _mm256_max_ps(_mm256_loadu_ps(x + i), best);
  const float m = Max8(best);
  const __m256 mv = _mm256_set1_ps(m), factor = _mm256_set1_ps(kLog2e);
  float total = 0;
  for (int begin = 0; begin < n; begin += kLogSumExpShard) {
    const int end = begin + kLogSumExpShard < n ? begin + kLogSumExpShard : n;
    __m256 lanes = _mm256_setzero_ps();
    for (int i = begin; i < end; i += 8)
      lanes = _mm256_add_ps(lanes, Ex2x8(_mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), mv), factor)));
    total += Tree8(lanes);
  }
  return m + Log(total);
}

void ExpMinus(const float* x, int n, float m, float* y) {
  const __m256 mv = _mm256_set1_ps(m), factor = _mm256_set1_ps(kLog2e);
  int i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(y + i, Ex2x8(_mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), mv), factor)));
  ScalarKernels().exp_minus(x + i, n - i, m, y + i);
}

}  // namespace

const KernelSet* Avx2Kernels() {
  static constexpr KernelSet kSet{
      "avx2",  QuantizeRow, MatmulX86<Avx2Dot>, MatmulFloat, Attend, AttendSegment, CombineSegmentsX86, RmsNorm, Rope,
      SiluMul, Add,         LogSumExp,          ExpMinus};
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    return nullptr;  // every CPU with AVX2 has F16C
  return &kSet;
}

}  // namespace tokenworks::kernels
#else
namespace tokenworks::kernels {
const KernelSet* Avx2Kernels() { return nullptr; }
}  // namespace tokenworks::kernels
#endif
