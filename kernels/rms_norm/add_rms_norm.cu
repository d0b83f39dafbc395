// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm/add_rms_norm.h"

#include "kernels/simt/simt.h"

namespace tokenworks::kernels {
namespace {

constexpr int kMaxVectors = 4;  // of 8 values a thread, kept in registers between the two passes

TW_DEVICE float BlockSum(float v, float* scratch) {
  v = simt::WarpSum(v);
  if (simt::LaneId() == 0) scratch[threadIdx.x >> 5] = v;
  __syncthreads();
  return simt::WarpSum(simt::LaneId() < blockDim.x / 32 ? scratch[simt::LaneId()] : 0.0f);
}

// One block a row.
__global__ void AddRmsNormKernel(AddRmsNormArgs a) {
  __shared__ float scratch[32];
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  Bf16* residual = a.residual + int64_t{blockIdx.x} * a.width;
  const Bf16* delta = a.delta ? a.delta + int64_t{blockIdx.x} * a.width : nullptr;
  const int stride = blockDim.x * 8;
  Vec16 kept[kMaxVectors];
  float sum = 0;
  TW_UNROLL
  for (int v = 0; v < kMaxVectors; ++v) {
    const int i = threadIdx.x * 8 + v * stride;
    if (i >= a.width) break;
    kept[v] = simt::Load16(residual + i);
    if (delta) {
      const Vec16 d = simt::Load16(delta + i);
      TW_UNROLL
      for (int w = 0; w < 4; ++w)
        kept[v].word[w] = PackBf16(LowFloat(kept[v].word[w]) + LowFloat(d.word[w]), HighFloat(kept[v].word[w]) + HighFloat(d.word[w]));
      simt::Store16(residual + i, kept[v]);
    }
    TW_UNROLL
    for (int e = 0; e < 8; ++e) sum += ElementOf(kept[v], e) * ElementOf(kept[v], e);
  }
  const float scale = simt::InverseSqrt(BlockSum(sum, scratch) / static_cast<float>(a.width) + a.epsilon);
  Bf16* out = a.out + int64_t{blockIdx.x} * a.width;
  TW_UNROLL
  for (int v = 0; v < kMaxVectors; ++v) {
    const int i = threadIdx.x * 8 + v * stride;
    if (i >= a.width) break;
    const Vec16 g0 = simt::Load16(a.gain + i), g1 = simt::Load16(a.gain + i + 4);
    float y[8];
    TW_UNROLL
    for (int e = 0; e < 8; ++e) y[e] = ElementOf(kept[v], e) * scale * BitsToFloat(e < 4 ? g0.word[e & 3] : g1.word[e & 3]);
    simt::Store16(out + i, PackVec(y));
  }
}

}  // namespace

void AddRmsNorm(const LaunchContext& context, const AddRmsNormArgs& args) {
  if (args.rows == 0) return;
  const int wanted = (args.width / 8 + 31) / 32 * 32;
  simt::Launch(context, AddRmsNormKernel, {static_cast<unsigned>(args.rows)}, wanted < 1024 ? wanted : 1024, 0, args);
}

}  // namespace tokenworks::kernels
