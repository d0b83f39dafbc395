// SPDX-License-Identifier: Apache-2.0
// The AVX-512 bodies: matrix products with VNNI integer dots, and attention; every other op is the AVX2 body.
#include "kernels/kernel_set.h"

#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
#include "kernels/attention/attention_x86.h"
#include "kernels/attention/vector512.h"
#include "kernels/matmul/tile_avx512.h"
#include "kernels/matmul/tile_x86.h"

namespace tokenworks::kernels {
namespace {

// One token alone: the weights of one row group after the other, in memory's order.
struct VnniDot {
  static constexpr int kTokens = 8;
  // a plus the dot products of n and q, in two chains.
  static __m256i Add4(__m256i a, const __m256i* n, const int8_t* q) {
    __m256i b = _mm256_setzero_si256();
    for (int v = 0; v < 8; v += 2) {
      a = _mm256_dpbusd_epi32(a, n[v], Broadcast4(q + v * 4));
      b = _mm256_dpbusd_epi32(b, n[v + 1], Broadcast4(q + v * 4 + 4));
    }
    return _mm256_add_epi32(a, b);
  }
  static __m256i Unsigned4(const __m256i* n, const int8_t* q) { return Add4(_mm256_setzero_si256(), n, q); }
  static __m256i Unsigned4Wide(const __m256i* n, const int8_t* q, const int8_t* low) {
    return Add4(_mm256_slli_epi32(Unsigned4(n, q), 7), n, low);
  }

  static __m256i Flipped(const int8_t* w) {
    return _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)),
                            _mm256_set1_epi8(static_cast<char>(0x80)));
  }
  static __m256i Signed8(const int8_t* w, const int8_t* q, int32_t sum) {
    __m256i a = _mm256_set1_epi32(-128 * sum), b = _mm256_setzero_si256();
    for (int v = 0; v < 8; v += 2) {
      a = _mm256_dpbusd_epi32(a, Flipped(w + v * 32), Broadcast4(q + v * 4));
      b = _mm256_dpbusd_epi32(b, Flipped(w + v * 32 + 32), Broadcast4(q + v * 4 + 4));
    }
    return _mm256_add_epi32(a, b);
  }
  static __m256i Signed8Wide(const int8_t* w, const int8_t* q, const int8_t* low, int32_t sum) {
    __m256i a = _mm256_setzero_si256(), b = _mm256_set1_epi32(-128 * sum);
    for (int v = 0; v < 8; ++v) {
      const __m256i wv = Flipped(w + v * 32);
      a = _mm256_dpbusd_epi32(a, wv, Broadcast4(q + v * 4));
      b = _mm256_dpbusd_epi32(b, wv, Broadcast4(low + v * 4));
    }
    return _mm256_add_epi32(_mm256_slli_epi32(a, 7), b);
  }
};

void Matmul(const PackedMatrix& w, const Activations& x, int first_token, int tokens, int first_group, int last_group,
            float* out, size_t stride) {
  (tokens == 1 ? MatmulX86<VnniDot> : MatmulAvx512)(w, x, first_token, tokens, first_group, last_group, out, stride);
}

void Attend(const AttentionShape& s, const AttentionRow& first, int rows, int kv_head, float* scratch) {
  (Fits<Vector512>(s) ? AttendX86<Vector512> : Avx2Kernels()->attend)(s, first, rows, kv_head, scratch);
}

void AttendSegment(const AttentionShape& s, const AttentionRow& row, int kv_head, int segment, float* result,
                   float* scratch) {
  (Fits<Vector512>(s) ? AttendSegmentX86<Vector512> : Avx2Kernels()->attend_segment)(s, row, kv_head, segment, result,
                                                                                     scratch);
}

}  // namespace

const KernelSet* Avx512VnniKernels() {
  if (Avx2Kernels() == nullptr || !__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512vl") ||
      !__builtin_cpu_supports("avx512bw"))
    return nullptr;
  static const KernelSet kSet = [] {
    KernelSet set = *Avx2Kernels();
    set.name = "avx512vnni";
    set.matmul = Matmul;
    set.attend = Attend;
    set.attend_segment = AttendSegment;
    return set;
  }();
  return &kSet;
}

}  // namespace tokenworks::kernels
#else
namespace tokenworks::kernels {
const KernelSet* Avx512VnniKernels() { return nullptr; }
}  // namespace tokenworks::kernels
#endif
