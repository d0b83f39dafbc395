// SPDX-License-Identifier: Apache-2.0
// The exact cut by one block alone, several passes over the row: for what the other ways cannot hold, such as thousands of
// equal values at the cut.
#pragma once

#include "kernels/sampling/nearest.cuh"

namespace tokenworks::kernels::sampling {

constexpr float kMassUnit = 8192.0f;    // of a bin's whole mass: a value at the bin's near end; 262,144 of them fit in 32 bits
constexpr float kNarrowest = 0x1p-16f;  // octaves: values closer than this count as equal when too many to list

// f(u, id) for the kept values within [low, low + width).
template <class F>
TW_DEVICE void ForKept(const Row& row, const Cut& cut, float low, float width, F f) {
  for (int g = threadIdx.x; g < Parts(row.vocabulary) * 32; g += kThreads) {
    const Group values = LoadGroup(row.logits, row.vocabulary, g >> 5, g & 31);
    TW_UNROLL
    for (int i = 0; i < kGroup; ++i) {
      const int id = IdOf(g >> 5, g & 31, i);
      const float u = Distance(row, values.x[i]);
      if (u >= low && u < low + width && Kept(cut, u, id)) f(u, id);
    }
  }
}

// Finds the first bin of [low, low + width) in which the count (by_mass: the mass) of kept values reaches `target`; where
// rounding lets none, the last that holds any. kNone: there are none. `before`: what the bins before it hold.
TW_DEVICE int CrossingBin(Shared& s, const Row& row, const Cut& cut, float low, float width, bool by_mass, float* target, bool share, float* before) {
  const float bin_width = width / kBins, per_octave = kBins / width;
  const int first = 2 * threadIdx.x;
  __syncthreads();
  s.count[first] = s.count[first + 1] = s.mass[first] = s.mass[first + 1] = 0;
  __syncthreads();
  ForKept(row, cut, low, width, [&](float u, int) {
    const int bin = static_cast<int>((u - low) * per_octave);
    atomicAdd(&s.count[bin], 1u);
    if (by_mass) atomicAdd(&s.mass[bin], static_cast<uint32_t>(simt::Exp2(low + static_cast<float>(bin) * bin_width - u) * kMassUnit + 0.5f));
  });
  __syncthreads();
  float held[2];
  TW_UNROLL
  for (int e = 0; e < 2; ++e)
    held[e] = by_mass ? static_cast<float>(s.mass[first + e]) * (simt::Exp2(-(low + static_cast<float>(first + e) * bin_width)) / kMassUnit)
                      : static_cast<float>(s.count[first + e]);
  float total;
  const float mine = BlockScan(s.warp_float, held[0] + held[1], &total);
  if (share) *target *= total;
  int bin = BlockMin(s, s.count[first] > 0 && mine + held[0] >= *target                    ? first
                        : s.count[first + 1] > 0 && mine + held[0] + held[1] >= *target ? first + 1
                                                                                          : kNone);
  if (bin == kNone) bin = -BlockMin(s, s.count[first + 1] > 0 ? -first - 1 : s.count[first] > 0 ? -first : kNone);
  if (bin == -kNone) return kNone;
  *before = Broadcast(s, bin >> 1 == static_cast<int>(threadIdx.x), bin & 1 ? mine + held[0] : mine);
  return bin;
}

// The list holds the crossing bin, sorted by distance: its entry at which the count (by_mass: the mass) reaches `rest`.
TW_DEVICE uint64_t CrossingEntry(Shared& s, int listed, bool by_mass, float rest) {
  int at = static_cast<int>(fminf(fmaxf(rest, 1.0f), static_cast<float>(listed))) - 1;
  if (by_mass) {
    const int first = 2 * threadIdx.x;
    const float a = first < listed ? Weight(BitsToFloat(static_cast<uint32_t>(s.list[first] >> 32))) : 0.0f;
    const float b = first + 1 < listed ? Weight(BitsToFloat(static_cast<uint32_t>(s.list[first + 1] >> 32))) : 0.0f;
    float total;
    const float before = BlockScan(s.warp_float, a + b, &total);
    at = BlockMin(s, before + a >= rest ? first : before + a + b >= rest ? first + 1 : kNone);
    at = at < listed ? at : listed - 1;
  }
  return s.list[at];
}

// A row's parts, a warp each: the sums of their weights, for Locate.
template <class WeightOf>
TW_DEVICE float SumParts(Shared& s, const Row& row, WeightOf weight) {
  __syncthreads();
  for (int part = threadIdx.x >> 5; part < Parts(row.vocabulary); part += kWarps) {
    const int lane = simt::LaneId();
    const Group g = LoadGroup(row.logits, row.vocabulary, part, lane);
    float sum = 0;
    TW_UNROLL
    for (int i = 0; i < kGroup; ++i) sum += weight(g.x[i], IdOf(part, lane, i));
    sum = simt::WarpSum(sum);
    if (lane == 0) s.part[part] = sum;
  }
  __syncthreads();
  return static_cast<int>(threadIdx.x) < Parts(row.vocabulary) ? s.part[threadIdx.x] : 0.0f;
}

// Narrows `cut` to the `target` nearest values (by_mass: to the fewest nearest whose mass reaches the share `target`).
TW_DEVICE Cut Narrow(Shared& s, const Row& row, const Cut& cut, bool by_mass, float target) {
  float low = 0, width = kReach;
  for (bool share = by_mass;; share = false) {
    float before;
    const int bin = CrossingBin(s, row, cut, low, width, by_mass, &target, share, &before);
    if (bin == kNone) return cut;
    const int inside = static_cast<int>(s.count[bin]);
    target -= before;
    width /= kBins, low += static_cast<float>(bin) * width;
    if (inside > kList && width > kNarrowest) continue;
    if (inside <= kList) {
      __syncthreads();
      if (threadIdx.x == 0) s.listed = 0;
      __syncthreads();
      ForKept(row, cut, low, width, [&](float u, int id) { Append(s, DistanceKey(u, id)); });
      __syncthreads();
      const int listed = s.listed;
      Sort(s, listed);
      return CutAfter(CrossingEntry(s, listed, by_mass, target), cut.farthest);
    }
    // Too many equal values: the lower ids of them.
    float wanted = by_mass ? ceilf(target / Weight(low)) : target;
    wanted = fminf(fmaxf(wanted, 1.0f), static_cast<float>(inside));
    const auto counts = [&](float x, int id) {
      const float u = Distance(row, x);
      return u >= low && u < low + width && Kept(cut, u, id) ? 1.0f : 0.0f;
    };
    const float mine = SumParts(s, row, counts);
    return {low, low + width, Locate(s, row, mine, wanted - 0.5f, 0.0, counts), cut.farthest};
  }
}

// Draws by itself alone; -1 if nothing has weight.
TW_DEVICE int DrawAlone(Shared& s, const Row& row, const SamplingRow& p, float farthest) {
  Cut cut;
  if (p.top_k > 0 && p.top_k < row.vocabulary) cut = Narrow(s, row, cut, false, static_cast<float>(p.top_k));
  if (p.top_p < 1.0f) cut = Narrow(s, row, cut, true, p.top_p);
  cut.farthest = farthest;
  const auto weight = [&](float x, int id) { return KeptWeight(row, cut, x, id); };
  const float mine = SumParts(s, row, weight);
  return Locate(s, row, mine, -1.0f, KeyedUniform(p.seed, p.sequence, p.position), weight);
}

}  // namespace tokenworks::kernels::sampling
