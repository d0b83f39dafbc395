// SPDX-License-Identifier: Apache-2.0
#include "router/policy/placement_policy.h"

#include <gtest/gtest.h>

#include <map>

namespace tokenworks::router {
namespace {

const std::vector<Candidate> kPrefill = {{"p0", 50}, {"p1", 20}, {"p2", 20}};
const std::vector<Candidate> kDecode = {{"d0", 7}, {"d1", 3}};

TEST(PlacementPolicy, LeastLoadedTakesTheLowerIdOnATie) {
  const auto policy = *MakePolicy("least_loaded", 1);
  const Placement placement = policy->Place({kPrefill, kDecode});
  EXPECT_EQ(placement.prefill, 1u);
  EXPECT_EQ(placement.decode, 1u);
}

TEST(PlacementPolicy, RoundRobinGivesEachItsTurn) {
  const auto policy = *MakePolicy("round_robin", 1);
  std::map<size_t, int> prefill, decode;
  for (int i = 0; i < 6; ++i) {
    const Placement placement = policy->Place({kPrefill, kDecode});
    ++prefill[placement.prefill], ++decode[placement.decode];
  }
  EXPECT_EQ(prefill, (std::map<size_t, int>{{0, 2}, {1, 2}, {2, 2}}));
  EXPECT_EQ(decode, (std::map<size_t, int>{{0, 3}, {1, 3}}));
}

TEST(PlacementPolicy, RandomRepeatsWithItsSeedAndReachesAll) {
  const auto a = *MakePolicy("random", 5), b = *MakePolicy("random", 5);
  std::map<size_t, int> seen;
  for (int i = 0; i < 200; ++i) {
    const Placement x = a->Place({kPrefill, kDecode}), y = b->Place({kPrefill, kDecode});
    EXPECT_EQ(x.prefill, y.prefill);
    EXPECT_EQ(x.decode, y.decode);
    ++seen[x.prefill];
  }
  EXPECT_EQ(seen.size(), 3u);
}

TEST(PlacementPolicy, ALocalRouteNeedsNoDecodeWorker) {
  for (const char* name : {"least_loaded", "round_robin", "random"})
    EXPECT_LT((*MakePolicy(name, 1))->Place({kPrefill, {}}).prefill, 3u) << name;
}

TEST(PlacementPolicy, AnUnknownNameListsTheOthers) {
  const Status status = MakePolicy("kv", 1).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(status.message()).find("round_robin"), std::string::npos);
}

}  // namespace
}  // namespace tokenworks::router
