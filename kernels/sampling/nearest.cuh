// SPDX-License-Identifier: Apache-2.0
// The values nearest to the highest, listed in shared memory without reading the row: the groups' highest values say which
// groups can hold them. At least n values are as near as the n nearest groups, so those within that distance are the list.
#pragma once

#include "kernels/sampling/parts.cuh"
#include "kernels/sampling/philox.h"

namespace tokenworks::kernels::sampling {

constexpr int kNearBins = kThreads, kMostGroups = 768;  // groups to list where the number of values wanted is not known

// Bins of distance, 32 an octave of it, from 2^-16 on: fine where values are rare.
TW_DEVICE int NearBin(float distance) {
  const int bin = static_cast<int>(FloatToBits(distance) >> 18) - ((127 - 16) << 5);
  return bin < 0 ? 0 : bin < kNearBins ? bin : kNearBins - 1;
}

// By rising value downwards, then by rising id.
TW_DEVICE uint64_t ValueKey(float x, int id) {
  const uint32_t bits = FloatToBits(x + 0.0f), ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return uint64_t{~ordered} << 32 | static_cast<uint32_t>(id);
}
TW_DEVICE float ValueOf(uint64_t key) {
  const uint32_t ordered = ~static_cast<uint32_t>(key >> 32);
  return BitsToFloat(ordered & 0x80000000u ? ordered ^ 0x80000000u : ~ordered);
}
TW_DEVICE int IdOfKey(uint64_t key) { return static_cast<int>(key & 0xffffffffu); }

// The number of groups whose highest is at most as far as bin threadIdx.x.
TW_DEVICE int CountGroups(Shared& s, const Row& row, const float* group) {
  __syncthreads();
  s.count[threadIdx.x] = 0;
  __syncthreads();
  for (int g = threadIdx.x; g < Parts(row.vocabulary) * 32; g += kThreads)
    if (const float x = group[g]; x >= kLowest) atomicAdd(&s.count[NearBin(row.highest - x)], 1u);
  __syncthreads();
  const int mine = static_cast<int>(s.count[threadIdx.x]);
  int total;
  return BlockScan(s.warp_int, mine, &total) + mine;
}
// The first bin within which so many groups lie; the last bin if fewer do.
TW_DEVICE int BinOf(Shared& s, int groups_within, int wanted) {
  const int bin = BlockMin(s, groups_within >= wanted ? static_cast<int>(threadIdx.x) : kNone);
  return bin == kNone ? kNearBins - 1 : bin;
}

// Lists all values within the bin; `listed` may come to exceed the list.
TW_DEVICE void ListWithin(Shared& s, const Row& row, const float* group, int bin) {
  __syncthreads();
  if (threadIdx.x == 0) s.listed = 0;
  __syncthreads();
  for (int g = threadIdx.x; g < Parts(row.vocabulary) * 32; g += kThreads) {
    const float most = group[g];
    if (!(most >= kLowest) || NearBin(row.highest - most) > bin) continue;
    const Group values = LoadGroup(row.logits, row.vocabulary, g >> 5, g & 31);
    TW_UNROLL
    for (int i = 0; i < kGroup; ++i)
      if (values.x[i] >= kLowest && NearBin(row.highest - values.x[i]) <= bin) Append(s, ValueKey(values.x[i], IdOf(g >> 5, g & 31, i)));
  }
  __syncthreads();
}

// Whether the listed values' weights come to `mass`. In whole numbers: their order in the list is not fixed.
TW_DEVICE bool ListReaches(Shared& s, const Row& row, float mass) {
  constexpr float kUnit = 1 << 19;
  int sum = 0;
  for (int i = threadIdx.x; i < s.listed; i += kThreads) sum += static_cast<int>(Weight(Distance(row, ValueOf(s.list[i]))) * kUnit);
  sum = WarpSumInt(sum);
  int total;
  BlockScan(s.warp_int, simt::LaneId() == 31 ? sum : 0, &total);
  return static_cast<float>(total) >= mass * kUnit;
}

// The id drawn from the list of all values that can be kept. top_p is of `mass`, or with mass < 0 of what top_k keeps.
TW_DEVICE int DrawListed(Shared& s, const Row& row, const SamplingRow& p, bool by_count, float mass, float farthest) {
  Sort(s, s.listed);
  const int first = 2 * threadIdx.x;
  int n = by_count && p.top_k < s.listed ? p.top_k : s.listed;
  const float u0 = first < n ? Distance(row, ValueOf(s.list[first])) : kReach, w0 = Weight(u0);
  const float u1 = first + 1 < n ? Distance(row, ValueOf(s.list[first + 1])) : kReach, w1 = Weight(u1);
  if (p.top_p < 1.0f) {
    float total;
    const float before = BlockScan(s.warp_float, w0 + w1, &total);
    const float target = p.top_p * (mass < 0 ? total : mass);
    const int last = BlockMin(s, before + w0 >= target ? first : before + w0 + w1 >= target ? first + 1 : kNone);
    n = last < n ? last + 1 : n;
  }
  const int too_far = BlockMin(s, u0 > farthest ? first : u1 > farthest ? first + 1 : kNone);
  n = too_far < n ? too_far : n;
  // By id.
  __syncthreads();
  if (first < n) s.list[first] = uint64_t(IdOfKey(s.list[first])) << 32 | FloatToBits(w0);
  if (first + 1 < n) s.list[first + 1] = uint64_t(IdOfKey(s.list[first + 1])) << 32 | FloatToBits(w1);
  Sort(s, n);
  const float a = first < n ? BitsToFloat(static_cast<uint32_t>(s.list[first])) : 0.0f;
  const float b = first + 1 < n ? BitsToFloat(static_cast<uint32_t>(s.list[first + 1])) : 0.0f;
  float total;
  const float before = BlockScan(s.warp_float, a + b, &total);
  const float target = static_cast<float>(KeyedUniform(p.seed, p.sequence, p.position) * total);
  const int pair = Invert(s, a + b, before, target);
  if (pair == kNone) return -1;
  const float rest = Broadcast(s, static_cast<int>(threadIdx.x) == pair, target - before - a);
  // b of the pair unless the target lies in a or b has no weight
  const uint64_t one = s.list[2 * pair], other = 2 * pair + 1 < n ? s.list[2 * pair + 1] : 0;
  const bool takes_a = static_cast<uint32_t>(one) != 0 && (rest < 0 || static_cast<uint32_t>(other) == 0);
  return static_cast<int>((takes_a ? one : other) >> 32);
}

// The smallest key after `after` of the whole row.
TW_DEVICE uint64_t NextKey(Shared& s, const Row& row, uint64_t after) {
  uint64_t best = ~uint64_t{0};
  for (int g = threadIdx.x; g < Parts(row.vocabulary) * 32; g += kThreads) {
    const Group values = LoadGroup(row.logits, row.vocabulary, g >> 5, g & 31);
    TW_UNROLL
    for (int i = 0; i < kGroup; ++i) {
      const uint64_t key = ValueKey(values.x[i], IdOf(g >> 5, g & 31, i));
      if (values.x[i] >= kLowest && key > after && key < best) best = key;
    }
  }
  __syncthreads();
  s.list[threadIdx.x] = best;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    const int i = threadIdx.x;
    if (i < half && s.list[i + half] < s.list[i]) s.list[i] = s.list[i + half];
  }
  __syncthreads();
  best = s.list[0];
  __syncthreads();
  return best;
}

// The `wanted` highest ids and logprobs of a row of raw logits; -1 where there are fewer.
TW_DEVICE void WriteTop(Shared& s, const Row& raw, const float* group, int wanted, float log_sum, int32_t* token, float* logprob) {
  const int within = CountGroups(s, raw, group);
  ListWithin(s, raw, group, BinOf(s, within, wanted));
  const int listed = s.listed, i = threadIdx.x;
  uint64_t mine = ~uint64_t{0};
  if (listed <= kList) {
    Sort(s, listed);
    if (i < wanted && i < listed) mine = s.list[i];
  } else {  // more ties than can be listed
    uint64_t key = 0;
    for (int k = 0; k < wanted; ++k) {
      key = NextKey(s, raw, key);
      if (k == i) mine = key;
    }
  }
  if (i >= wanted) return;
  token[i] = mine == ~uint64_t{0} ? -1 : IdOfKey(mine);
  logprob[i] = mine == ~uint64_t{0} ? kLowest : ValueOf(mine) - log_sum;
}

}  // namespace tokenworks::kernels::sampling
