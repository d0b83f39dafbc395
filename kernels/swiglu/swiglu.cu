// SPDX-License-Identifier: Apache-2.0
#include "kernels/swiglu/swiglu.h"

#include "kernels/simt/simt.h"

namespace tokenworks::kernels {
namespace {

constexpr int kThreads = 256;

TW_DEVICE float Gated(float gate, float up) {
  return gate / (1.0f + simt::Exp2(-gate * 1.4426950408889634f)) * up;
}

// Eight outputs a thread; y is the row.
__global__ void SwiGluKernel(SwiGluArgs a) {
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const int i = (blockIdx.x * kThreads + threadIdx.x) * 8;
  if (i >= a.width) return;
  const Bf16* gate = a.gate_up + int64_t{blockIdx.y} * 2 * a.width + i;
  const Vec16 g = simt::Load16(gate), u = simt::Load16(gate + a.width);
  float y[8];
  TW_UNROLL
  for (int e = 0; e < 8; ++e) y[e] = Gated(ElementOf(g, e), ElementOf(u, e));
  simt::Store16(a.out + int64_t{blockIdx.y} * a.width + i, PackVec(y));
}

}  // namespace

void SwiGlu(const LaunchContext& context, const SwiGluArgs& args) {
  if (args.rows == 0) return;
  const unsigned blocks = static_cast<unsigned>((args.width / 8 + kThreads - 1) / kThreads);
  simt::Launch(context, SwiGluKernel, {blocks, static_cast<unsigned>(args.rows)}, kThreads, 0, args);
}

}  // namespace tokenworks::kernels
