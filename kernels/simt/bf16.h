// SPDX-License-Identifier: Apache-2.0
// bfloat16 as stored bits, and packed pairs of it, the same on host, shim and device.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define TW_HD __host__ __device__ __forceinline__
#else
#define TW_HD inline
#endif

namespace tokenworks {

struct Bf16 {
  uint16_t bits;
};

// Sixteen bytes: the widest load a thread makes. Holds 8 Bf16, element 2i in the low half of word i.
struct alignas(16) Vec16 {
  uint32_t word[4];
};

TW_HD float BitsToFloat(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
#endif
}

TW_HD uint32_t FloatToBits(float f) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(f);
#else
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bits;
#endif
}

TW_HD float ToFloat(Bf16 x) { return BitsToFloat(uint32_t{x.bits} << 16); }
TW_HD float LowFloat(uint32_t pair) { return BitsToFloat(pair << 16); }
TW_HD float HighFloat(uint32_t pair) { return BitsToFloat(pair & 0xffff0000u); }

// Two floats rounded to nearest even: `low` in bits 0..15.
TW_HD uint32_t PackBf16(float low, float high) {
#if defined(__CUDA_ARCH__)
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  const auto round = [](float f) -> uint32_t {
    const uint32_t u = FloatToBits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fffu;
    return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  };
  return round(low) | (round(high) << 16);
#endif
}

TW_HD Bf16 ToBf16(float x) { return {static_cast<uint16_t>(PackBf16(x, 0.0f) & 0xffffu)}; }

// Element i (0..7) of a vector of 8 Bf16; i is a compile-time constant after unrolling.
TW_HD float ElementOf(const Vec16& v, int i) { return (i & 1) ? HighFloat(v.word[i >> 1]) : LowFloat(v.word[i >> 1]); }

TW_HD Vec16 PackVec(const float* eight) {
  Vec16 v;
#if defined(__CUDACC__)
#pragma unroll
#endif
  for (int i = 0; i < 4; ++i) v.word[i] = PackBf16(eight[2 * i], eight[2 * i + 1]);
  return v;
}

}  // namespace tokenworks
