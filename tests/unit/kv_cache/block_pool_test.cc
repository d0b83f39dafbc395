// SPDX-License-Identifier: Apache-2.0
#include "engine/kv_cache/block_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace tokenworks::kv_cache {
namespace {

kv_index::BlockKey Key(uint64_t n) { return {n, n * 3}; }

// A cached block with this content that nobody holds.
BlockId Cached(BlockPool& pool, uint64_t content) {
  const BlockId block = *pool.Allocate(Use::kActive);
  pool.Register(block, Key(content));
  pool.Drop(block, Use::kActive);
  return block;
}

TEST(BlockPool, GivesEachBlockOnceAndThenNone) {
  BlockPool pool(3);
  std::vector<BlockId> given;
  while (const auto block = pool.Allocate(Use::kActive)) given.push_back(*block);
  std::sort(given.begin(), given.end());
  EXPECT_EQ(given, (std::vector<BlockId>{0, 1, 2}));
  EXPECT_EQ(pool.available(), 0);
  pool.Drop(1, Use::kActive);
  EXPECT_EQ(pool.Allocate(Use::kReceiving), std::optional<BlockId>(1));
  EXPECT_EQ(BlockPool(0).Allocate(Use::kActive), std::nullopt);
}

TEST(BlockPool, ABlockIsFreeWithItsLastHolderOnly) {
  BlockPool pool(1);
  const BlockId block = *pool.Allocate(Use::kActive);
  pool.Hold(block, Use::kSending);
  pool.Drop(block, Use::kActive);
  EXPECT_EQ(pool.holders(block), 1);
  EXPECT_EQ(pool.Counts().sending, 1);
  EXPECT_EQ(pool.Allocate(Use::kActive), std::nullopt);
  pool.Drop(block, Use::kSending);
  EXPECT_EQ(pool.Counts().free, 1);
}

TEST(BlockPool, CountsASharedBlockUnderItsFirstUse) {
  BlockPool pool(4);
  const BlockId block = *pool.Allocate(Use::kReserved);
  EXPECT_EQ(pool.Counts().reserved, 1);
  pool.Hold(block, Use::kReceiving);
  EXPECT_EQ(pool.Counts().receiving, 1);
  pool.Move(block, Use::kReserved, Use::kActive);
  const KvCounts c = pool.Counts();
  EXPECT_EQ(std::tie(c.total, c.free, c.active, c.receiving, c.reserved), std::make_tuple(4, 3, 1, 0, 0));
}

TEST(BlockPool, KeepsNamedContentUntilItsRoomIsNeeded) {
  BlockPool pool(2);
  const BlockId block = Cached(pool, 7);
  EXPECT_EQ(pool.Find(Key(7)), std::optional<BlockId>(block));
  EXPECT_EQ(pool.Counts().cached, 1);
  EXPECT_EQ(pool.available(), 2);
  pool.Hold(block, Use::kActive);
  EXPECT_EQ(pool.Counts().active, 1);
  const auto other = pool.Allocate(Use::kActive);
  ASSERT_TRUE(other);
  EXPECT_NE(*other, block) << "a held block is never evicted";
  EXPECT_EQ(pool.Allocate(Use::kActive), std::nullopt);
  pool.Drop(block, Use::kActive);
  EXPECT_EQ(pool.Allocate(Use::kActive), std::optional<BlockId>(block));
  EXPECT_EQ(pool.Find(Key(7)), std::nullopt) << "evicted content has no name";
  pool.Drop(block, Use::kActive);
  EXPECT_EQ(pool.Counts().free, 1) << "and its block does not become cached again";
}

TEST(BlockPool, EvictsTheLeastRecentlyUsedFirst) {
  BlockPool pool(3);
  const BlockId a = Cached(pool, 1), b = *pool.Allocate(Use::kActive), c = *pool.Allocate(Use::kActive);
  pool.Register(b, Key(2));
  pool.Register(c, Key(3));
  pool.Drop(c, Use::kActive);
  pool.Drop(b, Use::kActive);
  pool.Hold(a, Use::kActive);  // used again: now the youngest
  pool.Drop(a, Use::kActive);
  EXPECT_EQ(pool.Allocate(Use::kActive), std::optional<BlockId>(c));
  EXPECT_EQ(pool.Allocate(Use::kActive), std::optional<BlockId>(b));
  EXPECT_EQ(pool.Allocate(Use::kActive), std::optional<BlockId>(a));
}

TEST(BlockPool, TakesAFreeBlockBeforeACachedOne) {
  BlockPool pool(2);
  const BlockId cached = Cached(pool, 1);
  EXPECT_NE(pool.Allocate(Use::kActive), std::optional<BlockId>(cached));
  EXPECT_TRUE(pool.Find(Key(1)));
}

TEST(BlockPool, TheOlderOfTwoBlocksKeepsTheName) {
  BlockPool pool(2);
  const BlockId first = *pool.Allocate(Use::kActive), second = *pool.Allocate(Use::kActive);
  pool.Register(first, Key(1));
  pool.Register(second, Key(1));
  EXPECT_EQ(pool.Find(Key(1)), std::optional<BlockId>(first));
  pool.Drop(second, Use::kActive);
  EXPECT_EQ(pool.Counts().free, 1);
  EXPECT_EQ(pool.Find(Key(1)), std::optional<BlockId>(first));
}

TEST(BlockPool, ForgottenContentIsNotFoundAndItsBlockBecomesFree) {
  BlockPool pool(2);
  const BlockId held = *pool.Allocate(Use::kActive);
  pool.Register(held, Key(1));
  pool.Forget(held);
  pool.Forget(held);
  EXPECT_EQ(pool.Find(Key(1)), std::nullopt);
  pool.Drop(held, Use::kActive);
  EXPECT_EQ(pool.Counts().free, 2);
}

TEST(BlockPoolDeathTest, BugsOfCallersEndTheProcess) {
  BlockPool pool(1);
  EXPECT_DEATH(pool.Hold(0, Use::kActive), "cannot be held");
  EXPECT_DEATH(pool.Drop(0, Use::kActive), "does not hold it");
  EXPECT_DEATH(pool.Register(0, Key(1)), "nobody holds");
  const BlockId block = *pool.Allocate(Use::kSending);
  EXPECT_DEATH(pool.Move(block, Use::kActive, Use::kSending), "does not have");
}

// Random calls against plain bookkeeping of who holds what.
TEST(BlockPool, AgreesWithPlainBookkeeping) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    BlockPool pool(8);
    std::vector<std::pair<BlockId, Use>> held;
    std::map<uint64_t, BlockId> named;
    for (int step = 0; step < 600; ++step) {
      const Use use = static_cast<Use>(random() % kUses);
      const auto picked = held.empty() ? held.end() : held.begin() + static_cast<int>(random() % held.size());
      const auto is_held = [&](BlockId b) {
        return std::any_of(held.begin(), held.end(), [&](const auto& h) { return h.first == b; });
      };
      switch (random() % 6) {
        case 0:
          if (const auto block = pool.Allocate(use)) {
            ASSERT_FALSE(is_held(*block)) << "seed " << seed;
            std::erase_if(named, [&](const auto& n) { return n.second == *block; });
            held.emplace_back(*block, use);
          } else {
            ASSERT_EQ(pool.available(), 0);
          }
          break;
        case 1:
          if (picked != held.end()) pool.Drop(picked->first, picked->second), held.erase(picked);
          break;
        case 2: {
          const uint64_t content = random() % 12;
          const auto found = pool.Find(Key(content));
          ASSERT_EQ(found.has_value(), named.contains(content)) << "seed " << seed;
          if (!found) break;
          ASSERT_EQ(*found, named.at(content));
          pool.Hold(*found, use);
          held.emplace_back(*found, use);
          break;
        }
        case 3: {
          const uint64_t content = random() % 12;
          if (picked == held.end()) break;
          pool.Register(picked->first, Key(content));
          const bool has_name =
              std::any_of(named.begin(), named.end(), [&](const auto& n) { return n.second == picked->first; });
          if (!has_name) named.emplace(content, picked->first);
          break;
        }
        case 4:
          if (picked != held.end()) pool.Move(picked->first, picked->second, use), picked->second = use;
          break;
        case 5:
          if (picked == held.end() || random() % 4) break;
          pool.Forget(picked->first);
          std::erase_if(named, [&](const auto& n) { return n.second == picked->first; });
          break;
      }
      int unheld = 0;
      std::map<Use, int> counts;
      for (BlockId b = 0; b < pool.size(); ++b) {
        ASSERT_EQ(pool.holders(b), std::count_if(held.begin(), held.end(), [&](const auto& h) { return h.first == b; }))
            << "seed " << seed;
        unheld += !is_held(b);
        std::optional<Use> first;
        for (const auto& [block, u] : held)
          if (block == b) first = std::min(first.value_or(u), u);
        if (first) ++counts[*first];
      }
      const KvCounts c = pool.Counts();
      ASSERT_EQ(c.free + c.cached, unheld) << "seed " << seed << ": a block is lost";
      ASSERT_EQ(std::tie(c.active, c.sending, c.receiving, c.reserved),
                std::tie(counts[Use::kActive], counts[Use::kSending], counts[Use::kReceiving], counts[Use::kReserved]))
          << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace tokenworks::kv_cache
