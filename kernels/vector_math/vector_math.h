// SPDX-License-Identifier: Apache-2.0
// Elementary functions of the numerics contract: no libm, same bits in scalar and vector form (NUMERICS.md).
// Static: each body has its own copy, compiled for its own instruction set.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace tokenworks::kernels {

// 2^f on [-0.5, 0.5], degree 6; the constant term is 1 so that Ex2(0) = 1 exactly.
inline constexpr float kEx2Poly[7] = {1.0f,           0.693147182f,   0.240226507f,   0.0555041087f,
                                      0.00961812911f, 0.00133335581f, 0.000154035304f};
inline constexpr float kEx2Lowest = -100.0f;
inline constexpr float kEx2Highest = 128.0f;
inline constexpr float kLog2eHigh = 1.44269502f;
inline constexpr float kLog2eLow = 1.92596299e-8f;
inline constexpr float kLog2e = 1.44269502f;
inline constexpr float kLn2 = 0.693147182f;
// Adding and subtracting it rounds to the nearest even integer for |x| < 2^22.
inline constexpr float kRoundMagic = 12582912.0f;

static inline float RoundToEven(float x) { return (x + kRoundMagic) - kRoundMagic; }

static inline float Ex2Reduced(float n, float f) {
  float p = kEx2Poly[6];
  for (int i = 5; i >= 0; --i) p = std::fma(p, f, kEx2Poly[i]);
  return std::bit_cast<float>(std::bit_cast<int32_t>(p) + (static_cast<int32_t>(n) << 23));
}

// 2^x: 0 below -100, inf from 128 up, NaN for NaN.
static inline float Ex2(float x) {
  if (x < kEx2Lowest) return 0.0f;
  if (x >= kEx2Highest) return std::numeric_limits<float>::infinity();
  if (x != x) return x;
  const float n = RoundToEven(x);
  return Ex2Reduced(n, x - n);
}

// e^x with a two-constant reduction: relative error 1e-7.
static inline float Exp(float x) {
  const float y = x * kLog2eHigh;
  if (y < kEx2Lowest) return 0.0f;
  if (y >= kEx2Highest) return std::numeric_limits<float>::infinity();
  if (x != x) return x;
  const float n = RoundToEven(y);
  return Ex2Reduced(n, std::fma(x, kLog2eLow, std::fma(x, kLog2eHigh, -n)));
}

// Natural logarithm of a finite x > 0, in double precision internally (scalar use only).
static inline float Log(float x) {
  if (!(x > 0.0f)) return x == 0.0f ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  if (x == std::numeric_limits<float>::infinity()) return x;
  int exponent = 0;
  double m = x;
  const uint64_t bits = std::bit_cast<uint64_t>(m);
  exponent = static_cast<int>(bits >> 52) - 1023;
  m = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double t = (m - 1.0) / (m + 1.0);
  const double t2 = t * t;
  double series = 1.0 / 15.0;
  for (int k = 13; k >= 1; k -= 2) series = series * t2 + 1.0 / k;
  return static_cast<float>(2.0 * t * series + exponent * 0.6931471805599453);
}

// base^exponent in double for base > 0 (rope frequencies): log by the atanh series, exp by Taylor.
static inline double Pow(double base, double exponent) {
  const uint64_t bits = std::bit_cast<uint64_t>(base);
  int e = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++e;
  }
  const double t = (m - 1.0) / (m + 1.0), t2 = t * t;
  double series = 0;
  for (int k = 27; k >= 1; k -= 2) series = series * t2 + 1.0 / k;
  const double y = exponent * (2.0 * t * series + e * 0.6931471805599453);
  const double q = y * 1.4426950408889634;
  const double n = static_cast<double>(static_cast<int64_t>(q + (q < 0 ? -0.5 : 0.5)));
  const double r = y - n * 0.6931471805599453;
  double power = 1.0;
  for (int k = 20; k >= 1; --k) power = 1.0 + power * r / k;
  return power * std::bit_cast<double>(static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52);
}

// Sine and cosine of a double angle |x| < 2^20 (rope tables): reduction by pi/2, Taylor to the 17th power.
static inline void SinCos(double x, double* sine, double* cosine) {
  const double q = x * 0.6366197723675814;
  const double n = static_cast<double>(static_cast<int64_t>(q + (q < 0 ? -0.5 : 0.5)));
  const double r = (x - n * 1.5707963267948966) - n * 6.123233995736766e-17;
  const double r2 = r * r;
  double s = 0, c = 0;
  for (int k = 17; k >= 3; k -= 2) s = (1.0 + s) * (-r2 / (k * (k - 1)));
  for (int k = 18; k >= 2; k -= 2) c = (1.0 + c) * (-r2 / (k * (k - 1)));
  s = r * (1.0 + s);
  c = 1.0 + c;
  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      *sine = s;
      *cosine = c;
      break;
    case 1:
      *sine = c;
      *cosine = -s;
      break;
    case 2:
      *sine = -s;
      *cosine = -c;
      break;
    default:
      *sine = -c;
      *cosine = s;
      break;
  }
}

}  // namespace tokenworks::kernels
