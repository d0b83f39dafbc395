// SPDX-License-Identifier: Apache-2.0
// Every body that one CPU uses, behind one table. All sets give the same bits (NUMERICS.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/attention/attention.h"
#include "kernels/matmul/packed_matrix.h"
#include "kernels/quantize/quantize.h"

namespace tokenworks::kernels {

// Kernel family and contract version; part of the numerics id.
inline constexpr std::string_view kNumericsContract = "cpu-i8x32-2";
inline constexpr int kLogSumExpShard = 4096;

// Plain functions over caller-owned memory; no allocation, no threads. Shapes as in the op's own header.
struct KernelSet {
  std::string_view name;
  // x[k] -> one row of activations; k a multiple of 32.
  void (*quantize_row)(const float* x, int k, ActivationRow row);
  // out[t * stride + r] for tokens t and rows r of groups [first_group, last_group) (8 rows each, clipped to rows).
  void (*matmul)(const PackedMatrix& w, const Activations& x, int first_token, int tokens, int first_group,
                 int last_group, float* out, size_t stride);
  // The same on float activations x[t * x_stride + k] for float weight forms.
  void (*matmul_float)(const PackedMatrix& w, const float* x, size_t x_stride, int tokens, int first_group,
                       int last_group, float* out, size_t stride);
  // `rows` neighbouring query rows of one sequence against one KV head: see attention.h.
  void (*attend)(const AttentionShape& shape, const AttentionRow& first, int rows, int kv_head, float* scratch);
  // One row in parts, which threads can share: every segment by itself into result[SegmentFloats], then in order into
  // out[query_heads][dim] of this KV head.
  void (*attend_segment)(const AttentionShape& shape, const AttentionRow& row, int kv_head, int segment, float* result,
                         float* scratch);
  void (*combine_segments)(const AttentionShape& shape, const float* results, int segments, int kv_head, float* out);
  // y = x * g / sqrt(mean(x^2) + epsilon)
  void (*rms_norm)(const float* x, const float* g, int n, float epsilon, float* y);
  // x[2i], x[2i+1] (neighbours) or x[i], x[i+d/2] (halves) rotated by cos/sin[d/2]
  void (*rope)(float* x, int heads, int dim, const float* cosine, const float* sine, bool neighbours);
  // y = gate / (1 + e^-gate) * up
  void (*silu_mul)(const float* gate, const float* up, int n, float* y);
  // y += x
  void (*add)(const float* x, int n, float* y);
  // max and log(sum(exp(x - max))) + max; n any
  float (*log_sum_exp)(const float* x, int n);
  // y = e^(x - m), as 2^((x - m) * log2 e)
  void (*exp_minus)(const float* x, int n, float m, float* y);
};

const KernelSet& ScalarKernels();
// Null where the CPU or the build lacks the instructions.
const KernelSet* Avx2Kernels();
const KernelSet* Avx512VnniKernels();

// The best set of this CPU, or the named one ("scalar", "avx2", "avx512vnni"); null for a name that is unknown or
// that this CPU cannot run. An empty name reads the environment variable TOKENWORKS_KERNELS first.
const KernelSet* SelectKernels(std::string_view name);

}  // namespace tokenworks::kernels
