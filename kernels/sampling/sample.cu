// SPDX-License-Identifier: Apache-2.0
// One thread block a row; a row of 128k logits stays in L2 over the passes: one to find the highest value, then for top_k and
// top_p two each (a histogram of distances, the crossing bin), one to draw.
#include "kernels/sampling/sample.h"

#include "kernels/sampling/philox.h"
#include "kernels/sampling/select.cuh"

namespace tokenworks::kernels {
namespace {

using select::Cut;
using select::kThreads;
using select::Row;
using select::Scratch;

constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;
constexpr float kMinusInfinity = -3.4028234e38f;

struct Highest {
  float value;
  int id;  // the lowest with that value; -1: nothing but NaN and -inf
};

TW_DEVICE Highest Larger(Highest a, Highest b) {
  return b.id >= 0 && (a.id < 0 || b.value > a.value || (b.value == a.value && b.id < a.id)) ? b : a;
}

TW_DEVICE Highest WarpHighest(Highest best) {
  TW_UNROLL
  for (int mask = 16; mask > 0; mask >>= 1) {
    const Highest other{simt::ShuffleXor(best.value, mask), simt::ShuffleXor(best.id, mask)};
    best = Larger(best, other);
  }
  return best;
}

TW_DEVICE Highest FindHighest(Scratch& s, const float* logits, int vocabulary) {
  Highest best{kMinusInfinity, -1};
  select::ForEach(logits, vocabulary, [&](float x, int id) {
    if (x >= kMinusInfinity && (best.id < 0 || x > best.value)) best = {x, id};
  });
  best = WarpHighest(best);
  __syncthreads();
  if (simt::LaneId() == 0) {
    s.warp_float[threadIdx.x >> 5] = best.value;
    s.warp_int[threadIdx.x >> 5] = best.id;
  }
  __syncthreads();
  return WarpHighest({s.warp_float[simt::LaneId()], s.warp_int[simt::LaneId()]});
}

// log(sum(e^x)) of the raw logits.
TW_DEVICE float LogSumExp(Scratch& s, const Row& row) {
  float sum = 0;
  select::ForEach(row.logits, row.vocabulary, [&](float x, int) {
    const float u = (row.highest - x) * kLog2E;
    sum += u >= 0 ? simt::Exp2(-u) : 0.0f;
  });
  sum = simt::WarpSum(sum);
  __syncthreads();
  if (simt::LaneId() == 0) s.warp_float[threadIdx.x >> 5] = sum;
  __syncthreads();
  return row.highest + kLn2 * log2f(simt::WarpSum(s.warp_float[simt::LaneId()]));
}

TW_DEVICE void WriteTop(Scratch& s, const SampleArgs& a, const Row& row, int index, int wanted, float log_sum) {
  const Cut cut = select::Narrow(s, row, Cut{}, false, static_cast<float>(wanted));
  select::List(s, row, cut, 0.0f, select::kReach);
  select::SortList(s);
  const int i = threadIdx.x;
  if (i >= wanted) return;
  const int id = i < s.listed ? static_cast<int>(s.list[i] & 0xffffffffu) : -1;
  a.top_token[index * kMaxTopTokens + i] = id;
  a.top_logprob[index * kMaxTopTokens + i] = id < 0 ? kMinusInfinity : row.logits[id] - log_sum;
}

// Penalties and bias in place; the raw values are kept for the reported logprob.
TW_DEVICE void ApplyEdits(const SampleArgs& a, const SamplingRow& p, float* logits) {
  for (int i = threadIdx.x; i < p.edits; i += kThreads) {
    const LogitEdit e = a.edits[p.first_edit + i];
    float x = logits[e.token];
    a.edited[p.first_edit + i] = x;
    if (p.repetition_penalty != 1.0f && (e.in_prompt || e.output_count > 0)) x = x > 0 ? x / p.repetition_penalty : x * p.repetition_penalty;
    if (e.output_count > 0) x = (x - p.frequency_penalty * static_cast<float>(e.output_count)) - p.presence_penalty;
    logits[e.token] = x + e.bias;
  }
  __syncthreads();
}

TW_DEVICE int Draw(Scratch& s, const SamplingRow& p, const float* logits, int vocabulary, Highest highest) {
  const Row row{logits, vocabulary, highest.value, kLog2E / p.temperature};
  Cut cut;
  if (p.top_k > 0 && p.top_k < vocabulary) cut = select::Narrow(s, row, cut, false, static_cast<float>(p.top_k));
  if (p.top_p < 1.0f) cut = select::Narrow(s, row, cut, true, p.top_p);
  const float farthest = p.min_p > 0 ? -log2f(p.min_p) : select::kReach;
  const int id = select::Locate(s, logits, vocabulary, -1.0, KeyedUniform(p.seed, p.sequence, p.position), [&](float x, int i) {
    const float u = select::Distance(row, x);
    return select::Kept(cut, u, i) && u <= farthest ? simt::Exp2(-u) : 0.0f;
  });
  return id < 0 ? highest.id : id;
}

TW_DEVICE float RawLogit(Scratch& s, const SampleArgs& a, const SamplingRow& p, const float* logits, int token) {
  __syncthreads();
  if (threadIdx.x == 0) s.found_float[0] = logits[token];
  __syncthreads();
  for (int i = threadIdx.x; i < p.edits; i += kThreads)
    if (a.edits[p.first_edit + i].token == token) s.found_float[0] = a.edited[p.first_edit + i];
  __syncthreads();
  return s.found_float[0];
}

__global__ void __launch_bounds__(kThreads) SampleKernel(SampleArgs a) {
  TW_SHARED_MEMORY(shared);
  Scratch& s = *reinterpret_cast<Scratch*>(shared);
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const int index = blockIdx.x;
  const SamplingRow& p = a.row[index];
  float* logits = a.logits + int64_t{index} * a.stride;
  float log_sum = 0;
  if (p.logprobs >= 0) {
    const Row raw{logits, a.vocabulary, FindHighest(s, logits, a.vocabulary).value, kLog2E};
    log_sum = LogSumExp(s, raw);
    const int wanted = p.logprobs < a.vocabulary ? p.logprobs : a.vocabulary;
    if (wanted > 0) WriteTop(s, a, raw, index, wanted, log_sum);
    __syncthreads();
  }
  if (p.edits > 0) ApplyEdits(a, p, logits);
  const Highest highest = FindHighest(s, logits, a.vocabulary);
  int token = highest.id < 0 ? 0 : highest.id;
  if (p.temperature > 0 && highest.id >= 0) token = Draw(s, p, logits, a.vocabulary, highest);
  const float raw = p.logprobs >= 0 ? RawLogit(s, a, p, logits, token) : 0.0f;
  if (threadIdx.x != 0) return;
  a.token[index] = token;
  if (p.logprobs >= 0) a.logprob[index] = raw - log_sum;
}

}  // namespace

void Sample(const LaunchContext& context, const SampleArgs& args) {
  if (args.rows > 0) simt::Launch(context, SampleKernel, {static_cast<unsigned>(args.rows)}, kThreads, sizeof(Scratch), args);
}

}  // namespace tokenworks::kernels
