// SPDX-License-Identifier: Apache-2.0
// What a row keeps is too many to list: several blocks, a slice of 32 parts each, find where the kept mass (or count) reaches
// its target, list the values of that one bin, and sum what is nearer; then one block makes the exact cut and draws.
#pragma once

#include "kernels/sampling/alone.cuh"

namespace tokenworks::kernels::sampling {

constexpr float kUnit = 1 << 17;  // of a bin's whole mass: a value at the bin's near end; a slice's 16,384 fit in 32 bits

// top_k leaves fewer than all: then masses are of what it keeps.
TW_DEVICE bool CountsFirst(const SamplingRow& p, int vocabulary) { return p.top_k > 0 && p.top_k < vocabulary; }

TW_DEVICE Row RowOf(const RowState& state, const float* logits, int vocabulary) { return {logits, vocabulary, state.highest, state.scale}; }

// Adds the slice's masses (or counts) by distance to the row's; `bins` [kBins] is shared memory. The range is a power of two,
// so bins have exact ends.
TW_DEVICE void AddHistogram(uint32_t* bins, const float* logits, int vocabulary, const RowScratch& r, int slice) {
  const RowState& state = *r.state;
  const bool by_mass = state.work == kByMass;
  if (!by_mass && state.work != kByCount) return;
  for (int b = threadIdx.x; b < kBins; b += kThreads) bins[b] = 0;
  __syncthreads();
  const Row row = RowOf(state, logits, vocabulary);
  const float range = state.range, per_octave = kBins / range, width = range / kBins;
  const int part = slice * kWarps + (threadIdx.x >> 5), lane = simt::LaneId();
  if (part < Parts(vocabulary) && Distance(row, r.group[part * 32 + lane]) < range) {
    const Group g = LoadGroup(logits, vocabulary, part, lane);
    TW_UNROLL
    for (int i = 0; i < kGroup; ++i) {
      const float u = Distance(row, g.x[i]);
      if (u >= range) continue;
      const int bin = static_cast<int>(u * per_octave);
      const float above = static_cast<float>(bin) * width - u;
      atomicAdd(&bins[bin], by_mass ? static_cast<uint32_t>(simt::Exp2(above) * kUnit + 0.5f) : 1u);
    }
  }
  __syncthreads();
  for (int b = threadIdx.x; b < kBins; b += kThreads)
    if (bins[b] > 0) atomicAdd(&r.mass[b], static_cast<unsigned long long>(bins[b]));
}

struct Crossing {
  float low = kReach, high = kReach, rest = 0;  // rest: what the bin has to give
};

// The first bin at which the target is reached; everything in reach if none. The same in every block of the row.
TW_DEVICE Crossing FindCrossing(Shared& s, const RowScratch& r) {
  const RowState& state = *r.state;
  const float width = state.range / kBins, target = state.target;
  const int first = 2 * threadIdx.x;
  float held[2];
  TW_UNROLL
  for (int e = 0; e < 2; ++e) {
    held[e] = static_cast<float>(r.mass[first + e]);
    if (state.work == kByMass) held[e] *= simt::Exp2(-static_cast<float>(first + e) * width) / kUnit;
  }
  float total;
  const float before = BlockScan(s.warp_float, held[0] + held[1], &total);
  const int bin = BlockMin(s, held[0] > 0 && before + held[0] >= target                ? first
                              : held[1] > 0 && before + held[0] + held[1] >= target ? first + 1
                                                                                      : kNone);
  if (bin == kNone) return {};
  const float rest = target - Broadcast(s, bin >> 1 == static_cast<int>(threadIdx.x), bin & 1 ? before + held[0] : before);
  return {static_cast<float>(bin) * width, static_cast<float>(bin + 1) * width, rest};
}

// Sums the weights before the crossing bin, part by part, and lists the bin's values.
TW_DEVICE void Collect(Shared& s, const float* logits, int vocabulary, const RowScratch& r, int slice) {
  RowState& state = *r.state;
  if (state.work == kDone) return;
  const Crossing c = state.work == kAllInReach ? Crossing{} : FindCrossing(s, r);
  if (slice == 0 && threadIdx.x == 0) state.low = c.low, state.high = c.high, state.rest = c.rest;
  const Row row = RowOf(state, logits, vocabulary);
  const int part = slice * kWarps + (threadIdx.x >> 5), lane = simt::LaneId();
  if (part >= Parts(vocabulary)) return;
  const float farthest = state.farthest, nearest = Distance(row, r.group[part * 32 + lane]);
  float sum = 0;
  if (nearest < c.high && nearest <= farthest) {
    const Group g = LoadGroup(logits, vocabulary, part, lane);
    TW_UNROLL
    for (int i = 0; i < kGroup; ++i) {
      const float u = Distance(row, g.x[i]);
      if (u > farthest || u >= c.high) continue;
      if (u < c.low) {
        sum += Weight(u);
      } else if (const int at = atomicAdd(&state.listed, 1); at < kList) {
        r.list[at] = DistanceKey(u, IdOf(part, lane, i));
      }
    }
  }
  sum = simt::WarpSum(sum);
  if (lane == 0) r.kept[part] = sum;
}

// Draws a token; -1 if nothing has weight.
TW_DEVICE int DrawCollected(Shared& s, const SamplingRow& p, const float* logits, int vocabulary, const RowScratch& r) {
  const RowState& state = *r.state;
  const Row row = RowOf(state, logits, vocabulary);
  const int listed = state.listed, i = threadIdx.x;
  if (listed > kList) return DrawAlone(s, row, p, state.farthest);
  Cut cut{state.low, state.high, -1, state.farthest};
  float mine = i < Parts(vocabulary) ? r.kept[i] : 0.0f;
  s.count[i] = 0;
  if (listed > 0) {
    for (int k = i; k < listed; k += kThreads) s.list[k] = r.list[k];
    Sort(s, listed);
    const bool by_mass = state.work == kByMass;
    const float rest = by_mass ? state.target - BlockSum(s, mine) : state.rest;
    const uint64_t last = CrossingEntry(s, listed, by_mass, rest);
    cut = CutAfter(last, state.farthest);
    // What the list adds to its parts, in whole numbers: the order of additions is not fixed.
    for (int k = i; k < listed && s.list[k] <= last; k += kThreads) {
      const float below = state.low - BitsToFloat(static_cast<uint32_t>(s.list[k] >> 32));
      atomicAdd(&s.count[IdOfKey(s.list[k]) / kPart], static_cast<uint32_t>(simt::Exp2(below) * kUnit + 0.5f));
    }
    __syncthreads();
    mine += static_cast<float>(s.count[i]) * (Weight(state.low) / kUnit);
  }
  return Locate(s, row, mine, -1.0f, KeyedUniform(p.seed, p.sequence, p.position), [&](float x, int id) { return KeptWeight(row, cut, x, id); });
}

}  // namespace tokenworks::kernels::sampling
