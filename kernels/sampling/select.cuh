// SPDX-License-Identifier: Apache-2.0
// Block-wide selection over one row of logits, by distance u = (highest - x) * scale in octaves (weight 2^-u): which values
// are kept by top_k or top_p, and which id a running sum reaches. All sums are of integers or in a fixed order, so the
// result does not depend on scheduling.
#pragma once

#include "kernels/simt/simt.h"

namespace tokenworks::kernels::select {

constexpr int kThreads = 1024, kWarps = kThreads / 32, kBins = 2048, kList = 1024, kChunk = 4 * kThreads, kMaxChunks = 64;
constexpr float kReach = 64.0f;         // octaves below the highest; what is farther has no weight
constexpr float kMassUnit = 8192.0f;    // of a bin's integer mass: a value at the bin's upper end
constexpr float kNarrowest = 0x1p-16f;  // octaves: values closer than this count as equal when too many to list

// Shared memory of one block.
struct Scratch {
  uint32_t count[kBins], mass[kBins];
  uint64_t list[kList];  // (bits of u) << 32 | id
  float part[kMaxChunks * kWarps];
  float warp_float[kWarps];
  int warp_int[kWarps];
  int listed, found_int;
  float found_float[2];
};

struct Row {
  const float* logits;
  int vocabulary;
  float highest, scale;
};

// Kept: u < low, and in [low, high) the ids up to last_id.
struct Cut {
  float low = kReach, high = kReach;
  int last_id = -1;
};

TW_DEVICE float Distance(const Row& row, float x) {
  const float u = (row.highest - x) * row.scale;
  return u < kReach ? (u > 0.0f ? u : 0.0f) : kReach;  // NaN and -inf too are out of reach
}
TW_DEVICE bool Kept(const Cut& cut, float u, int id) { return u < cut.low || (u < cut.high && id <= cut.last_id); }

// f(x, id) for every value of the row, each thread four neighbours at a time; `chunk` numbers the rounds.
template <class F>
TW_DEVICE void ForEach(const float* logits, int vocabulary, F f) {
  for (int i = threadIdx.x * 4; i < vocabulary; i += kChunk) {
    const Vec16 v = simt::Load16(logits + i);
    TW_UNROLL
    for (int e = 0; e < 4; ++e)
      if (i + e < vocabulary) f(BitsToFloat(v.word[e]), i + e);
  }
}

TW_DEVICE int WarpSumInt(int v) {
  TW_UNROLL
  for (int mask = 16; mask > 0; mask >>= 1) v += simt::ShuffleXor(v, mask);
  return v;
}

// Sorts scratch.list ascending; entries past `listed` are set to the largest key.
TW_DEVICE void SortList(Scratch& s) {
  const int i = threadIdx.x;
  if (i >= s.listed) s.list[i] = ~uint64_t{0};
  for (int size = 2; size <= kList; size <<= 1)
    for (int stride = size >> 1; stride > 0; stride >>= 1) {
      __syncthreads();
      const int other = i ^ stride;
      if (other > i) {
        const uint64_t a = s.list[i], b = s.list[other];
        if ((a > b) == ((i & size) == 0)) s.list[i] = b, s.list[other] = a;
      }
    }
  __syncthreads();
}

// Lists the kept values with u in [low, high); at most kList of them, else listed > kList says how many.
TW_DEVICE void List(Scratch& s, const Row& row, const Cut& cut, float low, float high) {
  __syncthreads();
  if (threadIdx.x == 0) s.listed = 0;
  __syncthreads();
  ForEach(row.logits, row.vocabulary, [&](float x, int id) {
    const float u = Distance(row, x);
    if (u < low || u >= high || !Kept(cut, u, id)) return;
    const int at = atomicAdd(&s.listed, 1);
    if (at < kList) s.list[at] = uint64_t{FloatToBits(u)} << 32 | static_cast<uint32_t>(id);
  });
  __syncthreads();
}

// The id at which the sum of weight(x, id) by ascending id first exceeds `absolute`, or with absolute < 0 `fraction` of the
// whole sum; the last id with a weight if rounding lets none exceed it; -1 if all weights are 0.
template <class Weight>
TW_DEVICE int Locate(Scratch& s, const float* logits, int vocabulary, double absolute, double fraction, Weight weight) {
  const int chunks = (vocabulary + kChunk - 1) / kChunk;
  __syncthreads();
  for (int c = 0; c < chunks; ++c) {
    const int i = c * kChunk + threadIdx.x * 4;
    float sum = 0;
    if (i < vocabulary) {
      const Vec16 v = simt::Load16(logits + i);
      TW_UNROLL
      for (int e = 0; e < 4; ++e)
        if (i + e < vocabulary) sum += weight(BitsToFloat(v.word[e]), i + e);
    }
    sum = simt::WarpSum(sum);
    if (simt::LaneId() == 0) s.part[c * kWarps + (threadIdx.x >> 5)] = sum;
  }
  __syncthreads();
  if (static_cast<int>(threadIdx.x) < chunks) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += s.part[threadIdx.x * kWarps + w];
    s.count[threadIdx.x] = FloatToBits(sum);
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    double total = 0;
    for (int c = 0; c < chunks; ++c) total += BitsToFloat(s.count[c]);
    double rest = absolute >= 0 ? absolute : fraction * total;
    int chunk = -1, part = -1;
    for (int c = 0; c < chunks; ++c) {  // the last one with a weight, if none is crossed
      const float sum = BitsToFloat(s.count[c]);
      if (sum > 0) chunk = c;
      if (rest < sum) break;
      if (c + 1 < chunks) rest -= sum;
    }
    for (int w = 0; chunk >= 0 && w < kWarps; ++w) {
      const float sum = s.part[chunk * kWarps + w];
      if (sum > 0) part = chunk * kWarps + w;
      if (rest < sum) break;
      if (w + 1 < kWarps) rest -= sum;
    }
    s.found_int = part;
    s.found_float[0] = static_cast<float>(rest);
  }
  __syncthreads();
  const int part = s.found_int, first = part * 128;
  if (part >= 0 && threadIdx.x < 128) {
    const int id = first + static_cast<int>(threadIdx.x);
    s.part[threadIdx.x] = id < vocabulary ? weight(logits[id], id) : 0.0f;
  }
  __syncthreads();
  if (part >= 0 && threadIdx.x == 0) {
    float rest = s.found_float[0];
    int last = 0;
    for (int i = 0; i < 128; ++i) {
      if (s.part[i] <= 0) continue;
      last = i;
      if ((rest -= s.part[i]) < 0) break;
    }
    s.found_int = first + last;
  }
  __syncthreads();
  return s.found_int;
}

// Counts and masses of the kept values in [low, low + width), in kBins bins.
TW_DEVICE void Histogram(Scratch& s, const Row& row, const Cut& cut, float low, float width) {
  __syncthreads();
  for (int b = threadIdx.x; b < kBins; b += kThreads) s.count[b] = s.mass[b] = 0;
  __syncthreads();
  const float per_octave = kBins / width, bin_width = width / kBins;
  ForEach(row.logits, row.vocabulary, [&](float x, int id) {
    const float u = Distance(row, x);
    if (u < low || u >= low + width || !Kept(cut, u, id)) return;
    const int bin = static_cast<int>((u - low) * per_octave);
    atomicAdd(&s.count[bin], 1u);
    atomicAdd(&s.mass[bin], static_cast<uint32_t>(simt::Exp2(low + static_cast<float>(bin) * bin_width - u) * kMassUnit + 0.5f));
  });
  __syncthreads();
}

TW_DEVICE float BinMass(const Scratch& s, int bin, float low, float bin_width) {
  return static_cast<float>(s.mass[bin]) * (1.0f / kMassUnit) * simt::Exp2(-(low + static_cast<float>(bin) * bin_width));
}

// What lies before the bin in which the target is reached.
struct Crossing {
  int bin;           // -1: not reached
  float count, mass; // before it, from `low` on
};

// Finds the first bin where the counts (by_mass: the masses) reach the target; a share of the total if `share`.
TW_DEVICE Crossing FindBin(Scratch& s, float low, float width, bool by_mass, float* target, bool share) {
  const float bin_width = width / kBins;
  const int b = threadIdx.x * 2;
  const float count = simt::WarpSum(static_cast<float>(s.count[b] + s.count[b + 1]));
  const float mass = simt::WarpSum(BinMass(s, b, low, bin_width) + BinMass(s, b + 1, low, bin_width));
  if (simt::LaneId() == 0) {
    s.warp_int[threadIdx.x >> 5] = static_cast<int>(count);
    s.warp_float[threadIdx.x >> 5] = mass;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    float total = 0, counted = 0, massed = 0;
    for (int w = 0; w < kWarps; ++w) total += by_mass ? s.warp_float[w] : static_cast<float>(s.warp_int[w]);
    if (share) *target *= total;
    int w = 0, bin = -1;
    for (; w < kWarps; ++w) {
      const float next_count = counted + static_cast<float>(s.warp_int[w]), next_mass = massed + s.warp_float[w];
      if ((by_mass ? next_mass : next_count) >= *target) break;
      counted = next_count, massed = next_mass;
    }
    for (int i = w * 64; w < kWarps && i < w * 64 + 64; ++i) {
      if (s.count[i] == 0) continue;
      bin = i;
      s.found_float[0] = counted, s.found_float[1] = massed;
      counted += static_cast<float>(s.count[i]), massed += BinMass(s, i, low, bin_width);
      if ((by_mass ? massed : counted) >= *target) break;
    }
    s.found_int = bin;
    s.warp_float[0] = *target;
  }
  __syncthreads();
  const Crossing c{s.found_int, s.found_float[0], s.found_float[1]};
  *target = s.warp_float[0];
  __syncthreads();
  return c;
}

// The list holds the crossing bin, sorted: the index of its first value at which the target is reached.
TW_DEVICE int FindInList(Scratch& s, bool by_mass, float rest) {
  if (!by_mass) return static_cast<int>(rest) - 1 < s.listed ? static_cast<int>(rest) - 1 : s.listed - 1;
  const int i = threadIdx.x;
  const float w = i < s.listed ? simt::Exp2(-BitsToFloat(static_cast<uint32_t>(s.list[i] >> 32))) : 0.0f;
  s.part[i] = w;
  const float sum = simt::WarpSum(w);
  if (simt::LaneId() == 0) s.warp_float[i >> 5] = sum;
  __syncthreads();
  if (i == 0) {
    int warp = 0, at = s.listed - 1;
    for (; warp < kWarps - 1 && s.warp_float[warp] < rest; ++warp) rest -= s.warp_float[warp];
    for (int k = warp * 32; k < s.listed && k < warp * 32 + 32; ++k)
      if ((rest -= s.part[k]) <= 0) {
        at = k;
        break;
      }
    s.found_int = at;
  }
  __syncthreads();
  return s.found_int;
}

// Narrows `cut` to the `target` nearest values (by_mass: to the fewest nearest whose mass reaches the share `target`).
TW_DEVICE Cut Narrow(Scratch& s, const Row& row, Cut cut, bool by_mass, float target) {
  float low = 0, width = kReach;
  bool share = by_mass;
  for (;;) {
    Histogram(s, row, cut, low, width);
    const Crossing crossing = FindBin(s, low, width, by_mass, &target, share);
    share = false;
    if (crossing.bin < 0) return cut;
    const int inside = static_cast<int>(s.count[crossing.bin]);
    target -= by_mass ? crossing.mass : crossing.count;
    width /= kBins;
    low += static_cast<float>(crossing.bin) * width;
    if (inside <= kList) {
      List(s, row, cut, low, low + width);
      SortList(s);
      const uint64_t last = s.list[FindInList(s, by_mass, target)];
      const uint32_t bits = static_cast<uint32_t>(last >> 32);
      return {BitsToFloat(bits), BitsToFloat(bits + 1), static_cast<int>(last & 0xffffffffu)};
    }
    if (width > kNarrowest) continue;
    // Too many equal values: the lower ids of them.
    float wanted = by_mass ? ceilf(target / simt::Exp2(-low)) : target;
    wanted = fminf(fmaxf(wanted, 1.0f), static_cast<float>(inside));
    const int last = Locate(s, row.logits, row.vocabulary, double{wanted} - 0.5, 0.0, [&](float x, int id) {
      const float u = Distance(row, x);
      return u >= low && u < low + width && Kept(cut, u, id) ? 1.0f : 0.0f;
    });
    return {low, low + width, last};
  }
}

}  // namespace tokenworks::kernels::select
