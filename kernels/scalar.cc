// SPDX-License-Identifier: Apache-2.0
// The scalar reference of every kernel: the contract's orders, written plainly. The oracle of all other bodies.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/kernel_set.h"
#include "kernels/rope/rope.h"
#include "kernels/vector_math/f16.h"
#include "kernels/vector_math/vector_math.h"

namespace tokenworks::kernels {
namespace {

// ((0+4)+(2+6)) + ((1+5)+(3+7))
float Tree8(const float* x) { return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])); }

void QuantizeRow(const float* x, int k, ActivationRow row) {
  for (int b = 0; b < k / kQuantBlock; ++b) {
    float largest = 0;
    for (int j = 0; j < kQuantBlock; ++j) largest = std::max(largest, std::fabs(x[b * 32 + j]));
    int32_t sum = 0;
    if (!(largest >= kQuantZeroBelow)) {
      std::memset(row.q + b * 32, 0, 32);
      if (row.low != nullptr) std::memset(row.low + b * 32, 0, 32);
      row.d[b] = row.s[b] = 0;
      row.sum[b] = 0;
      continue;
    }
    const float inverse = 127.0f / largest;
    for (int j = 0; j < kQuantBlock; ++j) {
      const float scaled = x[b * 32 + j] * inverse, whole = std::nearbyintf(scaled);
      row.q[b * 32 + j] = static_cast<int8_t>(whole);
      sum += static_cast<int>(whole) * (row.low != nullptr ? kWideFactor : 1);
      if (row.low == nullptr) continue;
      const int low = static_cast<int>(std::nearbyintf((scaled - whole) * kWideFactor));
      row.low[b * 32 + j] = static_cast<int8_t>(low);
      sum += low;
    }
    row.d[b] = largest / 127.0f;
    if (row.low != nullptr) row.d[b] *= 1.0f / kWideFactor;
    row.s[b] = row.d[b] * static_cast<float>(sum);
    row.sum[b] = sum;
  }
}

// The integer of column c of a token's row.
int32_t Integer(const Activations& x, int t, int c) {
  return x.wide() ? kWideFactor * x.q(t)[c] + x.low(t)[c] : x.q(t)[c];
}

float DotI4(const BlockI4x8* w, int r, const Activations& x, int t) {
  float acc = 0;
  for (int b = 0; b < x.blocks(); ++b) {
    int32_t dot = 0;
    for (int v = 0; v < 4; ++v)
      for (int c = 0; c < 4; ++c) {
        const uint8_t byte = w[b].nibbles[v * 32 + r * 4 + c];
        const int column = b * 32 + v * 4 + c;
        dot += (byte & 15) * Integer(x, t, column) + (byte >> 4) * Integer(x, t, column + 16);
      }
    acc = std::fma(F16ToF32(w[b].m[r]), x.s(t)[b], acc);
    acc = std::fma(F16ToF32(w[b].d[r]) * x.d(t)[b], static_cast<float>(dot), acc);
  }
  return acc;
}

float DotI8(const BlockI8x8* w, int r, const Activations& x, int t) {
  float acc = 0;
  for (int b = 0; b < x.blocks(); ++b) {
    int32_t dot = 0;
    for (int v = 0; v < 8; ++v)
      for (int c = 0; c < 4; ++c) dot += w[b].q[v * 32 + r * 4 + c] * Integer(x, t, b * 32 + v * 4 + c);
    acc = std::fma(F16ToF32(w[b].d[r]) * x.d(t)[b], static_cast<float>(dot), acc);
  }
  return acc;
}

void Matmul(const PackedMatrix& w, const Activations& x, int first_token, int tokens, int first_group, int last_group,
            float* out, size_t stride) {
  for (int g = first_group; g < last_group; ++g)
    for (int t = 0; t < tokens; ++t)
      for (int r = 0; r < kRowGroup && g * kRowGroup + r < w.rows(); ++r)
        out[t * stride + g * kRowGroup + r] = w.form() == WeightForm::kI4x8 ? DotI4(w.i4x8(g), r, x, first_token + t)
                                                                            : DotI8(w.i8x8(g), r, x, first_token + t);
}

void MatmulFloat(const PackedMatrix& w, const float* x, size_t x_stride, int tokens, int first_group, int last_group,
                 float* out, size_t stride) {
  for (int g = first_group; g < last_group; ++g)
    for (int t = 0; t < tokens; ++t)
      for (int r = 0; r < kRowGroup && g * kRowGroup + r < w.rows(); ++r) {
        float acc = 0;
        for (int c = 0; c < w.columns(); ++c) acc = std::fma(w.f32x8(g)[c * kRowGroup + r], x[t * x_stride + c], acc);
        out[t * stride + g * kRowGroup + r] = acc;
      }
}

float LoadKv(const std::byte* plane, size_t index, bool f32) {
  if (f32) {
    float v;
    std::memcpy(&v, plane + index * 4, 4);
    return v;
  }
  uint16_t h;
  std::memcpy(&h, plane + index * 2, 2);
  return F16ToF32(h);
}

// One query head over one segment: o[dim], then the maximum and the sum of the weights.
void SegmentOfHead(const AttentionShape& s, const AttentionRow& row, int kv_head, const float* q, int begin, int end,
                   float* p, float* result) {
  float m = -std::numeric_limits<float>::infinity();
  for (int i = begin; i < end; ++i) {
    const std::byte* block = row.layer_base + row.blocks[i / kBlockTokens] * row.block_stride;
    float score = 0;
    for (int d = 0; d < s.dim; ++d)
      score = std::fma(
          q[d], LoadKv(block, (static_cast<size_t>(kv_head) * s.dim + d) * kBlockTokens + i % kBlockTokens, s.f32),
          score);
    p[i - begin] = score;
    m = std::max(m, score);
  }
  float lanes[8] = {};
  for (int i = begin; i < end; ++i) {
    p[i - begin] = Ex2(p[i - begin] - m);
    lanes[i % 8] += p[i - begin];
  }
  std::memset(result, 0, sizeof(float) * s.dim);
  for (int i = begin; i < end; ++i) {
    const std::byte* v = row.layer_base + row.blocks[i / kBlockTokens] * row.block_stride + s.k_bytes();
    for (int d = 0; d < s.dim; ++d)
      result[d] = std::fma(
          p[i - begin], LoadKv(v, (static_cast<size_t>(kv_head) * kBlockTokens + i % kBlockTokens) * s.dim + d, s.f32),
          result[d]);
  }
  result[s.dim] = m;
  result[s.dim + 1] = Tree8(lanes);
}

void AttendSegment(const AttentionShape& s, const AttentionRow& row, int kv_head, int segment, float* result,
                   float* scratch) {
  const int group = s.query_heads / s.kv_heads, begin = segment * kSegment,
            end = std::min(begin + kSegment, row.positions);
  // 1/sqrt(dim) * log2(e), in double, rounded once.
  const float scale = static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(s.dim)));
  float *p = scratch, *q = p + kSegment;
  for (int h = 0; h < group; ++h) {
    for (int d = 0; d < s.dim; ++d) q[d] = row.q[(kv_head * group + h) * s.dim + d] * scale;
    SegmentOfHead(s, row, kv_head, q, begin, end, p, result + h * (s.dim + 2));
  }
}

void CombineSegments(const AttentionShape& s, const float* results, int segments, int kv_head, float* out) {
  const int group = s.query_heads / s.kv_heads;
  for (int h = 0; h < group; ++h) {
    float* total = out + (kv_head * group + h) * s.dim;
    float m_all = -std::numeric_limits<float>::infinity(), l_all = 0;
    std::memset(total, 0, sizeof(float) * s.dim);
    for (int g = 0; g < segments; ++g) {
      const float* r = results + g * SegmentFloats(s) + h * (s.dim + 2);
      const float m_new = std::max(m_all, r[s.dim]), a = Ex2(m_all - m_new), b = Ex2(r[s.dim] - m_new);
      l_all = std::fma(l_all, a, r[s.dim + 1] * b);
      for (int d = 0; d < s.dim; ++d) total[d] = std::fma(total[d], a, r[d] * b);
      m_all = m_new;
    }
    const float inverse = 1.0f / l_all;
    for (int d = 0; d < s.dim; ++d) total[d] *= inverse;
  }
}

void Attend(const AttentionShape& s, const AttentionRow& first, int rows, int kv_head, float* scratch) {
  for (int r = 0; r < rows; ++r) {
    AttentionRow row = first;
    row.q += r * s.query_heads * s.dim;
    row.out += r * s.query_heads * s.dim;
    row.positions += r;
    const int segments = (row.positions + kSegment - 1) / kSegment;
    std::vector<float> results(static_cast<size_t>(segments) * SegmentFloats(s));
    for (int g = 0; g < segments; ++g)
      AttendSegment(s, row, kv_head, g, results.data() + g * SegmentFloats(s), scratch);
    CombineSegments(s, results.data(), segments, kv_head, row.out);
  }
}

void RmsNorm(const float* x, const float* g, int n, float epsilon, float* y) {
  float lanes[32] = {};
  for (int i = 0; i < n; ++i) lanes[i % 32] = std::fma(x[i], x[i], lanes[i % 32]);
  for (int i = 0; i < 16; ++i) lanes[i] += lanes[i + 16];
  for (int i = 0; i < 8; ++i) lanes[i] += lanes[i + 8];
  const float r = 1.0f / std::sqrt(Tree8(lanes) / static_cast<float>(n) + epsilon);
  for (int i = 0; i < n; ++i) y[i] = (x[i] * r) * g[i];
}

void SiluMul(const float* gate, const float* up, int n, float* y) {
  for (int i = 0; i < n; ++i) y[i] = (gate[i] / (1.0f + Ex2(gate[i] * -kLog2e))) * up[i];
}

void Add(const float* x, int n, float* y) {
  for (int i = 0; i < n; ++i) y[i] += x[i];
}

float LogSumExp(const float* x, int n) {
  float m = -std::numeric_limits<float>::infinity();
  for (int i = 0; i < n; ++i) m = std::max(m, x[i]);
  float total = 0;
  for (int begin = 0; begin < n; begin += kLogSumExpShard) {
    float lanes[8] = {};
    for (int i = begin; i < std::min(begin + kLogSumExpShard, n); ++i) lanes[i % 8] += Ex2((x[i] - m) * kLog2e);
    total += Tree8(lanes);
  }
  return m + Log(total);
}

void ExpMinus(const float* x, int n, float m, float* y) {
  for (int i = 0; i < n; ++i) y[i] = Ex2((x[i] - m) * kLog2e);
}

}  // namespace

const KernelSet& ScalarKernels() {
  static constexpr KernelSet kSet{"scalar",      QuantizeRow,     Matmul,  MatmulFloat, Attend,
                                  AttendSegment, CombineSegments, RmsNorm, Rope,        SiluMul,
                                  Add,           LogSumExp,       ExpMinus};
  return kSet;
}

}  // namespace tokenworks::kernels
