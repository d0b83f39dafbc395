// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/staging_space.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace tokenworks::kv_transfer {
namespace {

TEST(StagingSpace, FillsAndFindsRoomAgainWhereverItCameBack) {
  StagingSpace space(256);
  EXPECT_EQ(space.Take(0), std::nullopt);
  EXPECT_EQ(space.Take(257), std::nullopt);
  EXPECT_EQ(space.Take(100), 0u);
  EXPECT_EQ(space.Take(64), 128u) << "aligned";
  EXPECT_EQ(space.Take(65), std::nullopt);
  EXPECT_EQ(space.Take(64), 192u);
  EXPECT_EQ(space.Take(1), std::nullopt);
  space.GiveBack(128);  // the first one never comes back
  EXPECT_EQ(space.Take(65), std::nullopt);
  EXPECT_EQ(space.Take(64), 128u);
  space.GiveBack(7);  // never taken
  space.GiveBack(0);
  space.GiveBack(128);
  EXPECT_EQ(space.Take(192), 0u) << "room of both together";
  space.GiveBack(192);
  space.GiveBack(0);
  EXPECT_EQ(space.Take(256), 0u) << "empty again: all of it";
}

TEST(StagingSpace, RangesNeverOverlapAndAllRoomComesBack) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    const uint64_t size = 64 * (1 + random() % 40) + random() % 64;
    StagingSpace ring(size);
    std::map<uint64_t, uint64_t> taken;  // begin -> end
    for (int step = 0; step < 400; ++step) {
      if (random() % 2 == 0) {
        const uint64_t bytes = 1 + random() % (size / 3 + 1);
        const auto begin = ring.Take(bytes);
        if (!begin) continue;
        ASSERT_LE(*begin + bytes, size);
        ASSERT_EQ(*begin % StagingSpace::kAlignment, 0u);
        const auto after = taken.upper_bound(*begin);
        ASSERT_TRUE(after == taken.end() || *begin + bytes <= after->first);
        ASSERT_TRUE(after == taken.begin() || std::prev(after)->second <= *begin);
        taken[*begin] = *begin + bytes;
      } else if (!taken.empty()) {
        const auto any = std::next(taken.begin(), static_cast<long>(random() % taken.size()));
        ring.GiveBack(any->first);
        taken.erase(any);
      }
    }
    for (const auto& [begin, end] : taken) ring.GiveBack(begin);
    ASSERT_EQ(ring.Take(size), 0u);
  }
}

}  // namespace
}  // namespace tokenworks::kv_transfer
