// SPDX-License-Identifier: Apache-2.0
// Every body gives the same bits as the scalar reference, on random shapes and extreme values.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/kernel_set.h"
#include "kernels/vector_math/f16.h"
#include "kernels/vector_math/vector_math.h"

namespace tokenworks::kernels {
namespace {

std::vector<const KernelSet*> Bodies() {
  std::vector<const KernelSet*> sets;
  if (const KernelSet* s = Avx2Kernels()) sets.push_back(s);
  if (const KernelSet* s = Avx512VnniKernels()) sets.push_back(s);
  return sets;
}

void ExpectSameBits(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    ASSERT_EQ(std::memcmp(&a[i], &b[i], 4), 0) << what << " at " << i << ": " << a[i] << " against " << b[i];
}

std::vector<std::byte> RandomRaw(WeightType type, int rows, int columns, bool extreme, std::mt19937& rng) {
  std::vector<std::byte> raw(RowBytes(type, columns) * rows);
  for (auto& b : raw) b = static_cast<std::byte>(extreme ? 0xFF : rng());
  const int block = type == WeightType::kQ4_1 ? 20 : type == WeightType::kQ4_0 ? 18 : 34;
  if (type == WeightType::kQ4_0 || type == WeightType::kQ4_1 || type == WeightType::kQ8_0) {
    const uint16_t choices[] = {F32ToF16(0.013f), F32ToF16(-0.2f), 0x0001, 0x7BFF /* 65504 */, 0x03FF};
    for (size_t at = 0; at < raw.size(); at += block) {
      uint16_t d = choices[extreme ? rng() % 5 : rng() % 2], m = choices[extreme ? rng() % 5 : rng() % 2];
      if (type == WeightType::kQ4_0) d = choices[rng() % 2];
      std::memcpy(&raw[at], &d, 2);
      if (type == WeightType::kQ4_1) std::memcpy(&raw[at + 2], &m, 2);
      if (type == WeightType::kQ8_0 && extreme) raw[at + 2 + rng() % 32] = std::byte{0x80};  // -128
    }
  } else {
    for (size_t at = 0; at + 4 <= raw.size(); at += 4) {
      const float f = std::normal_distribution<float>()(rng);
      const uint16_t h[2] = {F32ToF16(f), F32ToF16(-f)};
      std::memcpy(&raw[at], type == WeightType::kF32 ? static_cast<const void*>(&f) : h, 4);
    }
  }
  return raw;
}

std::vector<float> RandomRows(int n, std::mt19937& rng, bool extreme) {
  std::vector<float> x(n);
  std::normal_distribution<float> normal;
  for (int i = 0; i < n; ++i)
    x[i] = extreme ? (rng() % 2 ? 127.0f : -127.0f) : normal(rng) * std::exp2(static_cast<float>(rng() % 20) - 10);
  if (!extreme && n >= 64)
    for (int i = 0; i < 32; ++i) x[i] = 1e-30f;  // a block below the cut
  return x;
}

TEST(Matmul, AllBodiesAndBatchesGiveTheReferenceBits) {
  std::mt19937 rng(1);
  for (WeightType type : {WeightType::kQ4_1, WeightType::kQ4_0, WeightType::kQ8_0})
    for (int k : {32, 576})
      for (int rows : {8, 13, 97})
        for (int kind = 0; kind < 4; ++kind) {
          const bool extreme = kind & 1, wide = kind & 2;
          PackedMatrix w(*PackedMatrix::FormOf(type), k);
          ASSERT_TRUE(w.Append(type, rows, RandomRaw(type, rows, k, extreme, rng)).ok());
          const int tokens = 21;
          const std::vector<float> x = RandomRows(tokens * k, rng, extreme);
          Activations reference, fast;
          reference.Resize(tokens, k, wide);
          for (int t = 0; t < tokens; ++t) ScalarKernels().quantize_row(&x[t * k], k, reference.row(t));
          std::vector<float> expected(tokens * rows);
          ScalarKernels().matmul(w, reference, 0, tokens, 0, w.groups(), expected.data(), rows);
          for (const KernelSet* set : Bodies()) {
            fast.Resize(tokens, k, wide);
            for (int t = 0; t < tokens; ++t) set->quantize_row(&x[t * k], k, fast.row(t));
            ASSERT_EQ(std::memcmp(reference.q(0), fast.q(0), tokens * k), 0) << set->name;
            if (wide) {
              ASSERT_EQ(std::memcmp(reference.low(0), fast.low(0), tokens * k), 0) << set->name;
            }
            for (int batch : {1, 2, 3, 4, 5, 8, 13, 21}) {
              std::vector<float> out(tokens * rows, NAN);
              const int split = w.groups() / 2;
              for (int t = 0; t < tokens; t += batch) {
                const int n = std::min(batch, tokens - t);
                set->matmul(w, fast, t, n, split, w.groups(), &out[t * rows], rows);
                set->matmul(w, fast, t, n, 0, split, &out[t * rows], rows);
              }
              ExpectSameBits(expected, out,
                             std::string(set->name) + " k " + std::to_string(k) + " rows " + std::to_string(rows) +
                                 " batch " + std::to_string(batch) + (wide ? " wide" : ""));
            }
          }
        }
}

TEST(Matmul, IsCloseToDoubleArithmetic) {
  std::mt19937 rng(2);
  const int k = 576, rows = 16;
  const auto raw = RandomRaw(WeightType::kQ4_1, rows, k, false, rng);
  PackedMatrix w(WeightForm::kI4x8, k);
  ASSERT_TRUE(w.Append(WeightType::kQ4_1, rows, raw).ok());
  std::vector<float> x(k), weights(k), out(rows);
  for (float& v : x) v = std::normal_distribution<float>()(rng);
  for (const bool wide : {false, true}) {
    Activations a;
    a.Resize(1, k, wide);
    ScalarKernels().quantize_row(x.data(), k, a.row(0));
    ScalarKernels().matmul(w, a, 0, 1, 0, w.groups(), out.data(), rows);
    for (int r = 0; r < rows; ++r) {
      DequantizeRow(WeightType::kQ4_1, raw.data() + r * RowBytes(WeightType::kQ4_1, k), k, weights.data());
      double exact = 0, scale = 0;
      for (int c = 0; c < k; ++c)
        exact += static_cast<double>(weights[c]) * x[c], scale += std::pow(static_cast<double>(weights[c]) * x[c], 2);
      EXPECT_NEAR(out[r], exact, (wide ? 0.0003 : 0.03) * std::sqrt(scale)) << r;
    }
  }
}

TEST(MatmulFloat, AllBodiesGiveTheReferenceBits) {
  std::mt19937 rng(3);
  for (WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBF16})
    for (int rows : {8, 19}) {
      const int k = 64, tokens = 7;
      PackedMatrix w(WeightForm::kF32x8, k);
      ASSERT_TRUE(w.Append(type, rows, RandomRaw(type, rows, k, false, rng)).ok());
      const std::vector<float> x = RandomRows(tokens * k, rng, false);
      std::vector<float> expected(tokens * rows), out(tokens * rows);
      ScalarKernels().matmul_float(w, x.data(), k, tokens, 0, w.groups(), expected.data(), rows);
      for (const KernelSet* set : Bodies()) {
        set->matmul_float(w, x.data(), k, tokens, 0, w.groups(), out.data(), rows);
        ExpectSameBits(expected, out, std::string(set->name));
      }
    }
}

// Seven neighbouring rows of a sequence, the first at position `positions` - 1; the blocks out of order, NaN where
// nothing is written.
TEST(Attention, AllBodiesGiveTheReferenceBitsAndNeverTouchUnwrittenPositions) {
  constexpr int kRows = 7;
  std::mt19937 rng(4);
  for (const int group : {1, 2, 3, 4, 5})
    for (const int dim : {64, 40, 24})
      for (const int positions : {1, 15, 16, 17, 250, 255, 256, 257, 600}) {
        constexpr int kKvHeads = 2;
        const int heads = kKvHeads * group, written = positions + kRows - 1;
        const AttentionShape shape{heads, kKvHeads, dim, false};
        const int blocks = (written + 15) / 16;
        const size_t stride = 2 * shape.k_bytes(), row_floats = static_cast<size_t>(heads * dim);
        std::vector<std::byte> pool((blocks + 3) * stride, std::byte{0xFF});  // f16 NaN everywhere
        std::vector<int32_t> table(blocks);
        for (int b = 0; b < blocks; ++b) table[b] = blocks + 2 - b;
        std::vector<float> k(kKvHeads * dim), v(kKvHeads * dim), q(kRows * row_floats), expected(kRows * row_floats),
            scratch(AttentionScratch(shape));
        for (int i = 0; i < written; ++i) {
          for (float& x : k) x = std::normal_distribution<float>()(rng) * 2;
          // Some values overflow to infinity: rows before must not meet them.
          for (float& x : v)
            x = std::normal_distribution<float>()(rng) * (i == written - 1 ? 1e9f : i % 50 == 0 ? 1e4f : 1.0f);
          WriteKv(shape, k.data(), v.data(), pool.data() + table[i / 16] * stride, i % 16);
        }
        for (float& x : q) x = std::normal_distribution<float>()(rng);
        AttentionRow row{q.data(), expected.data(), pool.data(), stride, table.data(), positions};
        for (int h = 0; h < kKvHeads; ++h) ScalarKernels().attend(shape, row, kRows, h, scratch.data());
        for (size_t i = 0; i < (kRows - 1) * row_floats; ++i) ASSERT_TRUE(std::isfinite(expected[i]));
        for (const KernelSet* set : Bodies()) {
          const std::string what = std::string(set->name) + " group " + std::to_string(group) + " dim " +
                                   std::to_string(dim) + " positions " + std::to_string(positions);
          std::vector<float> out(kRows * row_floats);
          row.out = out.data();
          for (int h = kKvHeads - 1; h >= 0; --h) set->attend(shape, row, kRows, h, scratch.data());
          ExpectSameBits(expected, out, what);
          const int segments = (positions + kSegment - 1) / kSegment;
          std::vector<float> results(segments * SegmentFloats(shape)), parts(row_floats);
          for (int h = 0; h < kKvHeads; ++h) {
            for (int g = segments - 1; g >= 0; --g)
              set->attend_segment(shape, row, h, g, &results[g * SegmentFloats(shape)], scratch.data());
            set->combine_segments(shape, results.data(), segments, h, parts.data());
          }
          ExpectSameBits({expected.begin(), expected.begin() + static_cast<long>(row_floats)}, parts,
                         what + " in parts");
        }
      }
}

TEST(Elementwise, AllBodiesGiveTheReferenceBits) {
  std::mt19937 rng(5);
  for (int n : {64, 576, 1536, 49152, 50000}) {
    std::vector<float> x(n), g(n), expected(n), out(n);
    for (int i = 0; i < n; ++i)
      x[i] = std::normal_distribution<float>()(rng) * (i % 97 == 0 ? 60.0f : 3.0f),
      g[i] = std::normal_distribution<float>()(rng);
    const float special[] = {-3e38f, 3e38f, 0.0f, -0.0f, 88.0f, -90.0f, 1e-40f};
    for (int i = 0; i < 7; ++i) x[n / 2 + i] = special[i];
    for (const KernelSet* set : Bodies()) {
      ScalarKernels().silu_mul(x.data(), g.data(), n, expected.data());
      set->silu_mul(x.data(), g.data(), n, out.data());
      ExpectSameBits(expected, out, "silu");
      const float a = ScalarKernels().log_sum_exp(g.data(), n), b = set->log_sum_exp(g.data(), n);
      ASSERT_EQ(std::memcmp(&a, &b, 4), 0) << a << " " << b;
      double exact = 0;
      for (float v : g) exact += std::exp(static_cast<double>(v));
      EXPECT_NEAR(a, std::log(exact), 2e-6);
      ScalarKernels().rms_norm(g.data(), x.data(), n, 1e-5f, expected.data());
      set->rms_norm(g.data(), x.data(), n, 1e-5f, out.data());
      ExpectSameBits(expected, out, "rms_norm");
      for (bool neighbours : {false, true}) {
        std::vector<float> cosine(32, 0.6f), sine(32, 0.8f);
        expected = out = g;
        ScalarKernels().rope(expected.data(), n / 64, 64, cosine.data(), sine.data(), neighbours);
        set->rope(out.data(), n / 64, 64, cosine.data(), sine.data(), neighbours);
        ExpectSameBits(expected, out, "rope");
      }
    }
  }
}

TEST(VectorMath, IsAccurate) {
  for (double x = -69; x < 80; x += 0.0137) {
    EXPECT_NEAR(Exp(static_cast<float>(x)) / std::exp(static_cast<double>(static_cast<float>(x))), 1, 3e-7) << x;
    EXPECT_NEAR(Ex2(static_cast<float>(x)) / std::exp2(static_cast<double>(static_cast<float>(x))), 1, 3e-7) << x;
  }
  EXPECT_EQ(Ex2(0), 1.0f);
  EXPECT_EQ(Ex2(-INFINITY), 0.0f);
  EXPECT_EQ(Ex2(500), INFINITY);
  for (double x = 1e-30; x < 1e30; x *= 1.37)
    EXPECT_NEAR(Log(static_cast<float>(x)), std::log(static_cast<double>(static_cast<float>(x))),
                4e-6 + 1e-7 * std::fabs(std::log(x)));
  for (double x = -9000; x < 9000; x += 0.731) {
    double s, c;
    SinCos(x, &s, &c);
    EXPECT_NEAR(s, std::sin(x), 1e-11) << x;
    EXPECT_NEAR(c, std::cos(x), 1e-11) << x;
  }
}

TEST(F16, RoundTripsAndRoundsToNearestEven) {
  for (uint32_t h = 0; h < 65536; ++h) {
    if ((h & 0x7C00) == 0x7C00 && (h & 0x3FF)) continue;
    EXPECT_EQ(F32ToF16(F16ToF32(static_cast<uint16_t>(h))), h);
  }
  EXPECT_EQ(F32ToF16(65519.0f), 0x7BFF);
  EXPECT_EQ(F32ToF16(65520.0f), 0x7C00);
  EXPECT_EQ(F32ToF16(1.00048828125f), 0x3C00);  // halfway: to even
  EXPECT_EQ(F32ToF16(1.00146484375f), 0x3C02);
}

}  // namespace
}  // namespace tokenworks::kernels
