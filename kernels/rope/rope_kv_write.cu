// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope/rope_kv_write.h"

#include "kernels/simt/simt.h"

namespace tokenworks::kernels {
namespace {

// Sine and cosine of position * frequency: whole turns are taken off in double.
TW_DEVICE void Turn(int position, double frequency, float* sine, float* cosine) {
  const double turns = position * frequency * 0.15915494309189535;
  const float angle = static_cast<float>((turns - floor(turns + 0.5)) * 6.283185307179586);
#if defined(__CUDA_ARCH__)
  __sincosf(angle, sine, cosine);
#else
  *sine = sinf(angle), *cosine = cosf(angle);
#endif
}

// Sixteen values (two vectors) of one head a thread: pairs 8 item .. 8 item + 7. x is the row, y spans the items.
__global__ void RopeKvWriteKernel(RopeKvWriteArgs a) {
  const int items_per_head = a.dim / 16, heads = a.query_heads + 2 * a.kv_heads;
  const int index = blockIdx.y * blockDim.x + threadIdx.x;
  const int head = index / items_per_head, item = index % items_per_head;
  const int row = blockIdx.x;
  double frequency[8];
  if (head < a.query_heads + a.kv_heads) {
    TW_UNROLL
    for (int e = 0; e < 8; ++e) frequency[e] = a.frequency[item * 8 + e];
  }
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  if (head >= heads) return;
  const int position = a.position[row];
  if (position < 0) return;

  const bool values = head >= a.query_heads + a.kv_heads;
  const bool pairs_adjacent = a.neighbours || values;
  const int first = pairs_adjacent ? item * 16 : item * 8, second = pairs_adjacent ? first + 8 : first + a.dim / 2;
  const Bf16* source = a.qkv + (int64_t{row} * heads + head) * a.dim;
  const Vec16 low = simt::Load16(source + first), high = simt::Load16(source + second);
  Vec16 out[2] = {low, high};
  if (!values) {
    float y[16];
    TW_UNROLL
    for (int e = 0; e < 8; ++e) {
      float sine, cosine;
      Turn(position, frequency[e], &sine, &cosine);
      const float p = a.neighbours ? ElementOf(e < 4 ? low : high, 2 * (e & 3)) : ElementOf(low, e);
      const float q = a.neighbours ? ElementOf(e < 4 ? low : high, 2 * (e & 3) + 1) : ElementOf(high, e);
      y[a.neighbours ? 2 * e : e] = p * cosine - q * sine;
      y[a.neighbours ? 2 * e + 1 : e + 8] = q * cosine + p * sine;
    }
    out[0] = PackVec(y), out[1] = PackVec(y + 8);
  }
  Bf16* target;
  if (head < a.query_heads) {
    target = a.query + (int64_t{row} * a.query_heads + head) * a.dim;
  } else {
    const int sequence = a.sequence ? a.sequence[row] : row;
    const int64_t block = a.tables.blocks[int64_t{sequence} * a.tables.stride + position / kKvBlockTokens];
    const int kv_head = head - a.query_heads - (values ? a.kv_heads : 0);
    target = a.kv.base + block * a.kv.block_stride + (values ? a.kv.plane_stride : 0) + kv_head * a.kv.head_stride +
             position % kKvBlockTokens * a.kv.token_stride;
  }
  simt::Store16(target + first, out[0]);
  simt::Store16(target + second, out[1]);
}

}  // namespace

void RopeKvWrite(const LaunchContext& context, const RopeKvWriteArgs& args) {
  if (args.rows == 0) return;
  const int items = (args.query_heads + 2 * args.kv_heads) * args.dim / 16, threads = 128;
  simt::Launch(context, RopeKvWriteKernel, {static_cast<unsigned>(args.rows), static_cast<unsigned>((items + threads - 1) / threads)},
               threads, 0, args);
}

}  // namespace tokenworks::kernels
