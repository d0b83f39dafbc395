// SPDX-License-Identifier: Apache-2.0
// One pass over all logits by one warp for each part of a row, then one block a row on what the parts say. Only where the
// kept values are too many to list are the logits read twice more: a histogram of distances, then the crossing bin's values.
// Floor: the logits through L2 once (greedy, plain, top_k to 1,024, logprobs, a kept set that fits the list) or three times;
// thousands of equal values at a cut, and a larger top_k with top_p, take one block several passes more.
#include "kernels/sampling/sample.h"

#include "kernels/sampling/alone.cuh"
#include "kernels/sampling/nearest.cuh"
#include "kernels/sampling/wide.cuh"

namespace tokenworks::kernels {
namespace {

using namespace sampling;

constexpr int kReadThreads = 256, kReadWarps = kReadThreads / 32;

TW_DEVICE float* LogitsOf(const SampleArgs& a, int row) { return a.logits + int64_t{row} * a.stride; }

// Penalties and bias.
TW_DEVICE float Edited(const SamplingRow& p, const LogitEdit& e, float x) {
  if (p.repetition_penalty != 1.0f && (e.in_prompt || e.output_count > 0)) x = x > 0 ? x / p.repetition_penalty : x * p.repetition_penalty;
  if (e.output_count > 0) x = (x - p.frequency_penalty * static_cast<float>(e.output_count)) - p.presence_penalty;
  return x + e.bias;
}

// The row's edits that lie in the part, applied to the lane's values alone: memory stays raw.
TW_DEVICE void EditGroup(const SampleArgs& a, const SamplingRow& p, int part, int lane, Group& g) {
  const LogitEdit* edits = a.edits + p.first_edit;
  int from = 0, to = p.edits;
  while (from < to) {  // the first edit of the part
    const int middle = (from + to) / 2;
    if (edits[middle].token < part * kPart)
      from = middle + 1;
    else
      to = middle;
  }
  for (; from < p.edits && edits[from].token < (part + 1) * kPart; ++from) {
    const LogitEdit e = edits[from];
    TW_UNROLL
    for (int i = 0; i < kGroup; ++i)
      if (IdOf(part, lane, i) == e.token) {
        const float x = Edited(p, e, g.x[i]);
        g.x[i] = x >= kLowest ? x : kMinusInfinity;
      }
  }
}

TW_DEVICE float GroupHighest(const Group& g) {
  float most = g.x[0];
  TW_UNROLL
  for (int i = 1; i < kGroup; ++i) most = fmaxf(most, g.x[i]);
  return most;
}
TW_DEVICE float GroupSum(const Group& g, float highest, float scale) {
  const Row row{nullptr, 0, highest, scale};
  float sum = 0;
  TW_UNROLL
  for (int i = 0; i < kGroup; ++i) sum += Weight(Distance(row, g.x[i]));
  return simt::WarpSum(sum);
}

__global__ void __launch_bounds__(kReadThreads) SampleReadKernel(SampleArgs a) {
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const int index = blockIdx.y, part = blockIdx.x * kReadWarps + (threadIdx.x >> 5), lane = simt::LaneId();
  if (part >= Parts(a.vocabulary)) return;
  const SamplingRow& p = a.row[index];
  const RowScratch r = ScratchOf(a, index);
  Group g = LoadGroup(LogitsOf(a, index), a.vocabulary, part, lane);
  if (p.logprobs >= 0) {
    const float most = GroupHighest(g), highest = simt::WarpMax(most), sum = GroupSum(g, highest, kLog2E);
    if (lane == 0) r.raw_highest[part] = highest, r.raw_sum[part] = sum;
    if (p.logprobs > 0) r.raw_group[part * 32 + lane] = most;
  }
  if (p.edits > 0) EditGroup(a, p, part, lane, g);
  const float most = GroupHighest(g), highest = simt::WarpMax(most);
  int id = kNone;
  TW_UNROLL
  for (int i = kGroup - 1; i >= 0; --i)
    if (g.x[i] == highest) id = IdOf(part, lane, i);
  id = WarpMin(id);
  if (lane == 0) r.highest[part] = highest, r.highest_id[part] = highest >= kLowest ? id : kNone;
  if (p.temperature <= 0) return;
  r.group[part * 32 + lane] = most;
  if (CountsFirst(p, a.vocabulary)) return;
  const float sum = GroupSum(g, highest, kLog2E / p.temperature);
  if (lane == 0) r.sum[part] = sum;
}

struct Highest {
  float value;
  int id;  // the lowest with that value; kNone: nothing but NaN and -inf
};

TW_DEVICE Highest HighestOf(Shared& s, const float* highest, const int* id, int parts) {
  const int i = threadIdx.x;
  const float mine = i < parts ? highest[i] : kMinusInfinity;
  const float warp = simt::WarpMax(mine);
  __syncthreads();
  if (simt::LaneId() == 0) s.warp_float[i >> 5] = warp;
  __syncthreads();
  const float all = simt::WarpMax(s.warp_float[simt::LaneId()]);
  return {all, id ? BlockMin(s, i < parts && mine == all ? id[i] : kNone) : kNone};
}

// The part's sum of weights relative to the row's highest; of part threadIdx.x.
TW_DEVICE float SumOfPart(const Row& row, const float* highest, const float* sum) {
  const int i = threadIdx.x;
  return i < Parts(row.vocabulary) ? sum[i] * Weight(Distance(row, highest[i])) : 0.0f;
}

// log(sum(e^x)) of the raw logits; the highest are written too if wanted.
TW_DEVICE float ReportRaw(Shared& s, const SampleArgs& a, const SamplingRow& p, const RowScratch& r, int index) {
  const Row raw{LogitsOf(a, index), a.vocabulary, HighestOf(s, r.raw_highest, nullptr, Parts(a.vocabulary)).value, kLog2E};
  const float sum = BlockSum(s, SumOfPart(raw, r.raw_highest, r.raw_sum));
  const float log_sum = raw.highest >= kLowest ? raw.highest + kLn2 * log2f(sum) : 0.0f;
  const int wanted = p.logprobs < a.vocabulary ? p.logprobs : a.vocabulary, at = index * kMaxTopTokens;
  if (wanted > 0) WriteTop(s, raw, r.raw_group, wanted, log_sum, a.top_token + at, a.top_logprob + at);
  return log_sum;
}

// In place; the raw values are kept for the reported logprob.
TW_DEVICE void ApplyEdits(const SampleArgs& a, const SamplingRow& p, float* logits) {
  __syncthreads();
  for (int i = threadIdx.x; i < p.edits; i += kThreads) {
    const LogitEdit e = a.edits[p.first_edit + i];
    const float x = logits[e.token];
    a.edited[p.first_edit + i] = x;
    logits[e.token] = Edited(p, e, x);
  }
  __syncthreads();
}

enum : int { kNothing = -1, kAlone = -2, kLater = -3 };  // instead of a token: none has weight; DrawAlone; the kernels after

// Draws from a list if what can be kept fits it; else says what is left to do, for later in the row's state.
TW_DEVICE int DrawFromParts(Shared& s, const SamplingRow& p, const Row& row, const RowScratch& r, float farthest, bool wide) {
  const bool by_count = CountsFirst(p, row.vocabulary), by_mass = p.top_p < 1.0f;
  if (by_count && p.top_k > kMaxListedTopK) {
    if (by_mass || !wide) return kAlone;
    if (threadIdx.x == 0) r.state->work = kByCount, r.state->range = kReach, r.state->target = static_cast<float>(p.top_k);
    return kLater;
  }
  float mine = 0, mass = -1, reach = farthest;
  if (!by_count) {
    mine = SumOfPart(row, r.highest, r.sum);
    if (!by_mass && p.min_p <= 0)
      return Locate(s, row, mine, -1.0f, KeyedUniform(p.seed, p.sequence, p.position), [&](float x, int) { return Weight(Distance(row, x)); });
    mass = BlockSum(s, mine);
    // All values past `reach` together hold less than 1 - top_p.
    if (by_mass) reach = fminf(reach, log2f(static_cast<float>(row.vocabulary) / ((1.0f - p.top_p) * mass)) + 0.1f);
  }
  const int within = CountGroups(s, row, r.group);
  const int full = by_count ? kNone : BlockMin(s, within > kMostGroups ? static_cast<int>(threadIdx.x) : kNone);
  const int needed = by_count ? BinOf(s, within, p.top_k) : NearBin(reach / row.scale) + 1;
  ListWithin(s, row, r.group, needed < full ? needed : full - 1);
  if (s.listed <= kList && (needed < full || (by_mass && ListReaches(s, row, p.top_p * mass)))) return DrawListed(s, row, p, by_count, mass, farthest);
  if (by_count || !wide) return kAlone;
  if (threadIdx.x == 0) {
    float range = 1;
    while (range < reach && range < kReach) range *= 2;
    r.state->work = by_mass ? kByMass : kAllInReach, r.state->range = range, r.state->target = p.top_p * mass;
  }
  return kLater;
}

// The drawn token, or else the highest; if asked for, its logprob before edits.
TW_DEVICE void WriteToken(Shared& s, const SampleArgs& a, int index, int drawn) {
  const SamplingRow& p = a.row[index];
  const RowState& state = *ScratchOf(a, index).state;
  const int token = drawn < 0 ? state.highest_id : drawn;
  float raw = LogitsOf(a, index)[token];
  if (p.logprobs >= 0) {
    int edit = kNone;
    for (int i = threadIdx.x; i < p.edits; i += kThreads)
      if (a.edits[p.first_edit + i].token == token) edit = i;
    edit = BlockMin(s, edit);
    if (edit != kNone) raw = a.edited[p.first_edit + edit];
  }
  if (threadIdx.x != 0) return;
  a.token[index] = token;
  if (p.logprobs >= 0) a.logprob[index] = raw - state.log_sum;
}

__global__ void __launch_bounds__(kThreads) SampleListKernel(SampleArgs a) {
  TW_SHARED_MEMORY(shared);
  Shared& s = *reinterpret_cast<Shared*>(shared);
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const int index = blockIdx.x;
  const SamplingRow& p = a.row[index];
  const RowScratch r = ScratchOf(a, index);
  const float log_sum = p.logprobs >= 0 ? ReportRaw(s, a, p, r, index) : 0.0f;
  if (p.edits > 0) ApplyEdits(a, p, LogitsOf(a, index));
  const Highest highest = HighestOf(s, r.highest, r.highest_id, Parts(a.vocabulary));
  const float scale = kLog2E / p.temperature, farthest = p.min_p > 0 ? fminf(-log2f(p.min_p), kReach) : kReach;
  if (threadIdx.x == 0)
    *r.state = {.work = kDone, .highest = highest.value, .scale = scale, .farthest = farthest, .log_sum = log_sum,
                .highest_id = highest.id == kNone ? 0 : highest.id};
  int drawn = kNothing;
  if (p.temperature > 0 && highest.value >= kLowest && highest.value <= -kLowest) {
    const Row row{LogitsOf(a, index), a.vocabulary, highest.value, scale};
    drawn = DrawFromParts(s, p, row, r, farthest, a.any_wide);
    if (drawn == kAlone) drawn = DrawAlone(s, row, p, farthest);
  }
  __syncthreads();  // the row's state is written
  if (drawn != kLater) return WriteToken(s, a, index, drawn);
  for (int b = threadIdx.x; b < kBins; b += kThreads) r.mass[b] = 0;
}

__global__ void __launch_bounds__(kThreads, 2) SampleHistogramKernel(SampleArgs a) {
  TW_SHARED_MEMORY(shared);
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const RowScratch r = ScratchOf(a, blockIdx.y);
  AddHistogram(reinterpret_cast<uint32_t*>(shared), LogitsOf(a, blockIdx.y), a.vocabulary, r, blockIdx.x);
}

__global__ void __launch_bounds__(kThreads, 2) SampleCollectKernel(SampleArgs a) {
  TW_SHARED_MEMORY(shared);
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const RowScratch r = ScratchOf(a, blockIdx.y);
  Collect(*reinterpret_cast<Shared*>(shared), LogitsOf(a, blockIdx.y), a.vocabulary, r, blockIdx.x);
}

__global__ void __launch_bounds__(kThreads) SampleDrawKernel(SampleArgs a) {
  TW_SHARED_MEMORY(shared);
  Shared& s = *reinterpret_cast<Shared*>(shared);
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const int index = blockIdx.x;
  const RowScratch r = ScratchOf(a, index);
  if (r.state->work == kDone) return;
  WriteToken(s, a, index, DrawCollected(s, a.row[index], LogitsOf(a, index), a.vocabulary, r));
}

}  // namespace

size_t SampleScratchBytes(int rows, int vocabulary) { return static_cast<size_t>(rows) * RowScratchBytes(vocabulary); }

void Sample(const LaunchContext& context, const SampleArgs& a) {
  if (a.rows <= 0) return;
  const unsigned rows = a.rows, parts = Parts(a.vocabulary), slices = (parts + kWarps - 1) / kWarps;
  simt::Launch(context, SampleReadKernel, {(parts + kReadWarps - 1) / kReadWarps, rows}, kReadThreads, 0, a);
  simt::Launch(context, SampleListKernel, {rows}, kThreads, sizeof(Shared), a);
  if (!a.any_wide) return;
  simt::Launch(context, SampleHistogramKernel, {slices, rows}, kThreads, kBins * sizeof(uint32_t), a);
  simt::Launch(context, SampleCollectKernel, {slices, rows}, kThreads, sizeof(Shared), a);
  simt::Launch(context, SampleDrawKernel, {rows}, kThreads, sizeof(Shared), a);
}

}  // namespace tokenworks::kernels
