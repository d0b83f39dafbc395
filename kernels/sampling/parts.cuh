// SPDX-License-Identifier: Apache-2.0
// How a row is cut: parts of 512 consecutive values, one a warp; of these a lane's 16 are a group. And what is kept of a
// row between the kernels: of each part its highest value and its sum of weights, of each group its highest value.
#pragma once

#include "kernels/sampling/block.cuh"
#include "kernels/sampling/sample.h"

namespace tokenworks::kernels::sampling {

constexpr int kPart = 512, kGroup = 16;
constexpr float kReach = 64.0f;  // octaves below the highest; what is farther has no weight
constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;
constexpr float kLowest = -3.4028234e38f;  // finite
constexpr float kMinusInfinity = -__builtin_inff();

// What is left to do for a row after its first pass.
enum Work : int { kDone, kByMass, kByCount, kAllInReach };

struct RowState {
  int work;
  float highest, scale, farthest;  // the row to draw from; farthest: of min_p, in octaves
  float range, target;             // the crossing lies within `range` octaves; mass or count to reach
  float low, high, rest;           // the crossing bin, and the count to take of it
  float log_sum;                   // of the raw logits
  int highest_id, listed;
};

// One row's scratch in device memory.
struct RowScratch {
  unsigned long long* mass;  // [kBins] whole numbers
  uint64_t* list;            // [kList] values in the crossing bin
  RowState* state;
  float *highest, *sum;      // [parts]: of the values drawn from; the sum of weights relative to the part's highest
  int* highest_id;           // [parts], kNone: nothing but NaN and -inf
  float *raw_highest, *raw_sum, *kept;  // [parts]
  float *group, *raw_group;             // [parts * 32]
};

TW_HD int Parts(int vocabulary) { return (vocabulary + kPart - 1) / kPart; }
TW_HD size_t RowScratchBytes(int vocabulary) {
  return (kBins + kList) * 8 + 64 + size_t(Parts(vocabulary) + 3) / 4 * 4 * (6 + 2 * 32) * 4;
}
static_assert(sizeof(RowState) <= 64);

TW_DEVICE RowScratch ScratchOf(const SampleArgs& a, int row) {
  std::byte* at = a.scratch + row * RowScratchBytes(a.vocabulary);
  const int parts = (Parts(a.vocabulary) + 3) / 4 * 4;
  RowScratch r;
  r.mass = reinterpret_cast<unsigned long long*>(at);
  r.list = reinterpret_cast<uint64_t*>(r.mass + kBins);
  r.state = reinterpret_cast<RowState*>(r.list + kList);
  r.highest = reinterpret_cast<float*>(reinterpret_cast<std::byte*>(r.state) + 64);
  r.sum = r.highest + parts, r.highest_id = reinterpret_cast<int*>(r.sum + parts);
  r.raw_highest = r.sum + 2 * parts, r.raw_sum = r.raw_highest + parts, r.kept = r.raw_sum + parts;
  r.group = r.kept + parts, r.raw_group = r.group + 32 * parts;
  return r;
}

// The distribution of a row by distance u = (highest - x) * scale in octaves: weight 2^-u.
struct Row {
  const float* logits;
  int vocabulary;
  float highest, scale;
};

TW_DEVICE float Distance(const Row& row, float x) {
  const float u = (row.highest - x) * row.scale;
  return u < kReach ? (u > 0.0f ? u : 0.0f) : kReach;  // NaN and -inf too are out of reach
}
TW_DEVICE float Weight(float u) { return u < kReach ? simt::Exp2(-u) : 0.0f; }

TW_DEVICE int IdOf(int part, int lane, int i) { return part * kPart + (i >> 2) * 128 + lane * 4 + (i & 3); }

// The 16 values of a lane of a part; NaN, and what lies past the row's end, as -inf. All loads are under way at once.
struct Group {
  float x[kGroup];
};
TW_DEVICE Group LoadGroup(const float* logits, int vocabulary, int part, int lane) {
  Vec16 v[kGroup / 4];
  TW_UNROLL
  for (int c = 0; c < kGroup / 4; ++c) {
    const int id = IdOf(part, lane, 4 * c);
    v[c] = id < vocabulary ? simt::Load16(logits + id) : Vec16{};
  }
  Group g;
  TW_UNROLL
  for (int i = 0; i < kGroup; ++i) {
    const float x = BitsToFloat(v[i / 4].word[i % 4]);
    g.x[i] = x >= kLowest && IdOf(part, lane, i) < vocabulary ? x : kMinusInfinity;
  }
  return g;
}

// Which values a draw is from: u < low, and in [low, high) the ids up to last_id; and nothing past `farthest`.
struct Cut {
  float low = kReach, high = kReach;
  int last_id = -1;
  float farthest = kReach;
};
TW_DEVICE bool Kept(const Cut& cut, float u, int id) { return (u < cut.low || (u < cut.high && id <= cut.last_id)) && u <= cut.farthest; }
TW_DEVICE float KeptWeight(const Row& row, const Cut& cut, float x, int id) {
  const float u = Distance(row, x);
  return Kept(cut, u, id) ? Weight(u) : 0.0f;
}
// Orders values by distance, then id.
TW_DEVICE uint64_t DistanceKey(float u, int id) { return uint64_t{FloatToBits(u)} << 32 | static_cast<uint32_t>(id); }
// The cut whose last value is this one.
TW_DEVICE Cut CutAfter(uint64_t key, float farthest) {
  const uint32_t bits = static_cast<uint32_t>(key >> 32);
  return {BitsToFloat(bits), BitsToFloat(bits + 1), static_cast<int>(key & 0xffffffffu), farthest};
}

// The id at which the sum of weight(x, id) by ascending id first exceeds `target`, or with target < 0 `share` of the whole
// sum; the last id with a weight if rounding lets none exceed it; -1 if all weights are 0. mine: the sum of part threadIdx.x.
template <class WeightOf>
TW_DEVICE int Locate(Shared& s, const Row& row, float mine, float target, double share, WeightOf weight) {
  float total;
  float before = BlockScan(s.warp_float, mine, &total);
  if (target < 0) target = static_cast<float>(share * total);
  const int part = Invert(s, mine, before, target), i = threadIdx.x;
  if (part == kNone) return -1;
  const float rest = Broadcast(s, i == part, target - before);
  const int id = part * kPart + i;
  mine = i < kPart && id < row.vocabulary ? weight(row.logits[id], id) : 0.0f;
  before = BlockScan(s.warp_float, mine, &total);
  const int at = Invert(s, mine, before, rest);
  return at == kNone ? -1 : part * kPart + at;
}

}  // namespace tokenworks::kernels::sampling
