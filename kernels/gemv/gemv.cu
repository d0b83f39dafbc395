// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemv/gemv.h"

#include "kernels/simt/simt.h"

namespace tokenworks::kernels {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32, kBlocksPerMultiprocessor = 4;
constexpr int kLoads = 4;  // 16-byte weight loads in flight a lane, twice: one batch is computed while the next arrives

template <int kRows>
TW_DEVICE void NormaliseInput(const GemvArgs& a, Bf16* staged, const float (&scratch)[kRows][kWarps]) {
  TW_UNROLL
  for (int r = 0; r < kRows; ++r) {
    float squares = 0;
    TW_UNROLL
    for (int w = 0; w < kWarps; ++w) squares += scratch[r][w];
    const float scale = simt::InverseSqrt(squares / static_cast<float>(a.inputs) + a.epsilon);
    for (int i = threadIdx.x * 8; i < a.inputs; i += kThreads * 8) {
      const Vec16 v = simt::Load16(staged + r * a.inputs + i);
      const Vec16 g0 = simt::Load16(a.gain + i), g1 = simt::Load16(a.gain + i + 4);
      float y[8];
      TW_UNROLL
      for (int e = 0; e < 8; ++e) y[e] = ElementOf(v, e) * scale * BitsToFloat(e < 4 ? g0.word[e & 3] : g1.word[e & 3]);
      simt::Store16(staged + r * a.inputs + i, PackVec(y));
    }
  }
  __syncthreads();
}

// Copies x to shared memory; with kNorm after RMSNorm. Rows lie one after the other.
template <int kRows, bool kNorm>
TW_DEVICE void StageInput(const GemvArgs& a, Bf16* staged) {
  __shared__ float scratch[kRows][kWarps];
  TW_UNROLL
  for (int r = 0; r < kRows; ++r) {
    float squares = 0;
    for (int i = threadIdx.x * 8; i < a.inputs; i += kThreads * 8) {
      const Vec16 v = simt::Load16(a.x + int64_t{r} * a.inputs + i);
      simt::Store16(staged + r * a.inputs + i, v);
      if (kNorm) {
        TW_UNROLL
        for (int e = 0; e < 8; ++e) squares += ElementOf(v, e) * ElementOf(v, e);
      }
    }
    if (!kNorm) continue;
    squares = simt::WarpSum(squares);
    if (simt::LaneId() == 0) scratch[r][threadIdx.x >> 5] = squares;
  }
  __syncthreads();
  if constexpr (kNorm) NormaliseInput<kRows>(a, staged, scratch);
}

// Batch `batch` of a weight row: vectors (batch * kLoads + k) * 32 + lane; past the end zeros.
TW_DEVICE void LoadBatch(const Bf16* row, int batch, int vectors, Vec16 (&w)[kLoads]) {
  TW_UNROLL
  for (int k = 0; k < kLoads; ++k) {
    const int v = (batch * kLoads + k) * 32 + static_cast<int>(simt::LaneId());
    w[k] = v < vectors ? simt::LoadStream16(row + int64_t{v} * 8) : Vec16{{0, 0, 0, 0}};
  }
}

template <int kRows>
TW_DEVICE void AddBatch(const Bf16* staged, int inputs, int batch, int vectors, const Vec16 (&w)[kLoads], float (&sum)[kRows]) {
  TW_UNROLL
  for (int k = 0; k < kLoads; ++k) {
    const int v = (batch * kLoads + k) * 32 + static_cast<int>(simt::LaneId());
    if (v >= vectors) break;
    TW_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Vec16 x = simt::Load16(staged + r * inputs + v * 8);
      TW_UNROLL
      for (int e = 0; e < 8; ++e) sum[r] = fmaf(ElementOf(w[k], e), ElementOf(x, e), sum[r]);
    }
  }
}

template <int kRows>
TW_DEVICE void WriteOutput(const GemvArgs& a, int output, const float (&y)[kRows]) {
  TW_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const int64_t at = int64_t{r} * a.outputs + output;
    const float value = a.residual ? y[r] + ToFloat(a.residual[at]) : y[r];
    if (a.y_float) a.y_float[at] = value;
    else a.y[at] = ToBf16(value);
  }
}

// A warp takes one output at a time (with kSwiGlu two weight rows for it), all warps of the grid in turn; the batches of
// successive weight rows form one unbroken sequence of loads.
template <int kRows, bool kSwiGlu, bool kNorm>
__global__ void __launch_bounds__(kThreads, kBlocksPerMultiprocessor) GemvKernel(GemvArgs a) {
  TW_SHARED_MEMORY(shared);
  Bf16* staged = reinterpret_cast<Bf16*>(shared);
  const int vectors = a.inputs / 8, batches = (vectors + 32 * kLoads - 1) / (32 * kLoads);
  const int stride = static_cast<int>(gridDim.x) * kWarps;
  int output = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x >> 5);
  const bool works = output < a.outputs;
  Vec16 now[kLoads];
  if (works) LoadBatch(a.weight + int64_t{output} * a.inputs, 0, vectors, now);
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  StageInput<kRows, kNorm>(a, staged);
  if (!works) return;

  float sum[kRows] = {}, gate[kRows] = {};
  bool up = false;
  for (int batch = 0;;) {
    // What comes after this batch: the row's next one, or the first of the next weight row.
    int next_batch = batch + 1, next_output = output;
    bool next_up = up;
    if (next_batch == batches) {
      next_batch = 0;
      next_up = kSwiGlu && !up;
      if (!next_up) next_output += stride;
    }
    Vec16 next[kLoads];
    if (next_output < a.outputs)
      LoadBatch(a.weight + (int64_t{next_output} + (next_up ? a.outputs : 0)) * a.inputs, next_batch, vectors, next);
    AddBatch<kRows>(staged, a.inputs, batch, vectors, now, sum);
    if (next_batch == 0) {
      TW_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const float total = simt::WarpSum(sum[r]);
        sum[r] = 0;
        if (kSwiGlu && !up) gate[r] = total;
        else gate[r] = kSwiGlu ? gate[r] / (1.0f + simt::Exp2(-gate[r] * 1.4426950408889634f)) * total : total;
      }
      if (!(kSwiGlu && !up) && simt::LaneId() == 0) WriteOutput<kRows>(a, output, gate);
    }
    if (next_output >= a.outputs) return;
    batch = next_batch, output = next_output, up = next_up;
    TW_UNROLL
    for (int k = 0; k < kLoads; ++k) now[k] = next[k];
  }
}

template <int kRows, bool kSwiGlu, bool kNorm>
void Enqueue(const LaunchContext& context, const GemvArgs& a) {
  const int all = (a.outputs + kWarps - 1) / kWarps, most = a.multiprocessors * kBlocksPerMultiprocessor;
  simt::Launch(context, GemvKernel<kRows, kSwiGlu, kNorm>, {static_cast<unsigned>(all < most ? all : most)}, kThreads,
               size_t{2} * kRows * a.inputs, a);
}

template <int kRows>
void EnqueueRows(const LaunchContext& context, const GemvArgs& a) {
  if (a.swiglu) return a.gain ? Enqueue<kRows, true, true>(context, a) : Enqueue<kRows, true, false>(context, a);
  return a.gain ? Enqueue<kRows, false, true>(context, a) : Enqueue<kRows, false, false>(context, a);
}

}  // namespace

void Gemv(const LaunchContext& context, const GemvArgs& args) {
  if (args.outputs == 0) return;
  if (args.rows == 1) EnqueueRows<1>(context, args);
  if (args.rows == 2) EnqueueRows<2>(context, args);
}

}  // namespace tokenworks::kernels
