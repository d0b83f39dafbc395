// SPDX-License-Identifier: Apache-2.0
#include "kv_index/block_key.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace tokenworks::kv_index {
namespace {

std::vector<BlockKey> Chain(BlockKey parent, const std::vector<std::vector<TokenId>>& blocks) {
  std::vector<BlockKey> keys;
  for (const auto& block : blocks) keys.push_back(parent = ChildKey(parent, block));
  return keys;
}

TEST(BlockKey, EqualPrefixesHaveEqualKeysUpToWhereTheyPart) {
  const BlockKey root = RootKey("model", "", "", "");
  const auto a = Chain(root, {{1, 2}, {3, 4}, {5, 6}}), b = Chain(root, {{1, 2}, {3, 9}, {5, 6}});
  EXPECT_EQ(a, Chain(root, {{1, 2}, {3, 4}, {5, 6}}));
  EXPECT_EQ(a[0], b[0]);
  EXPECT_NE(a[1], b[1]);
  EXPECT_NE(a[2], b[2]) << "an equal block after another prefix is other content";
}

TEST(BlockKey, EveryPartOfTheRootCountsByItself) {
  std::set<BlockKey> seen;
  const std::string parts[] = {"", "a", "aa", std::string("a\0", 2), std::string(8, '\0')};
  for (const auto& model : parts)
    for (const auto& adapter : parts)
      for (const auto& tenant : parts)
        for (const auto& salt : parts) EXPECT_TRUE(seen.insert(RootKey(model, adapter, tenant, salt)).second);
  EXPECT_EQ(seen.size(), 625u);
}

TEST(BlockKey, ASaltKeepsChainsApart) {
  const auto plain = Chain(RootKey("m", "", "", ""), {{1}, {2}}), salted = Chain(RootKey("m", "", "", "s"), {{1}, {2}});
  EXPECT_NE(plain[0], salted[0]);
  EXPECT_NE(plain[1], salted[1]);
}

TEST(BlockKey, TokensAndWhatElseWentInDoNotMix) {
  const BlockKey root = RootKey("m", "", "", "");
  const std::vector<TokenId> one = {1}, two = {1, 2}, reversed = {2, 1};
  const TokenId second = 2;
  const std::string_view as_bytes(reinterpret_cast<const char*>(&second), sizeof second);
  std::set<BlockKey> keys = {ChildKey(root, one),
                             ChildKey(root, two),
                             ChildKey(root, reversed),
                             ChildKey(root, one, as_bytes),
                             ChildKey(root, one, "image"),
                             ChildKey(root, {}),
                             root};
  EXPECT_EQ(keys.size(), 7u);
}

// Peers and restarted workers compare keys: their value is part of the protocol.
TEST(BlockKey, KeepsItsValue) {
  const BlockKey key = ChildKey(RootKey("model", "adapter", "tenant", "salt"), std::vector<TokenId>{1, -1, 49151});
  EXPECT_EQ(key.high, 2697718504496599828u);
  EXPECT_EQ(key.low, 2526713649529991616u);
}

}  // namespace
}  // namespace tokenworks::kv_index
