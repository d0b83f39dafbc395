// SPDX-License-Identifier: Apache-2.0
// Who uses which KV block of one worker, and which unused ones still hold known content.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "kv_index/block_key.h"
#include "tokenworks/ids.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::kv_cache {

// Why a block is held. A block with several holders counts under the first of these that any holder has.
enum class Use : uint8_t { kActive, kSending, kReceiving, kReserved };
inline constexpr int kUses = 4;

// A plain state machine. Invariant: the counts of all states add up to the pool's size.
class BlockPool {
 public:
  explicit BlockPool(int blocks);

  int size() const { return static_cast<int>(blocks_.size()); }
  // Blocks that Allocate can still give: free ones and cached ones that nobody holds.
  int available() const { return static_cast<int>(free_.size() + lru_.size()); }

  // A block with one holder and no known content; evicts the least recently used cached one when none is free.
  std::optional<BlockId> Allocate(Use use);
  void Hold(BlockId block, Use use);
  // The last holder gone, the block is cached when its content is registered, else free.
  void Drop(BlockId block, Use use);
  void Move(BlockId block, Use from, Use to);
  int holders(BlockId block) const { return blocks_[block].holders; }

  // Names the content of a held, fully computed block. Keeps the older block when the key is known already.
  void Register(BlockId block, const kv_index::BlockKey& key);
  std::optional<BlockId> Find(const kv_index::BlockKey& key) const;
  // The content has no name any more: nobody finds it, and a held block becomes free with its last holder.
  void Forget(BlockId block);

  // Everything but `leaked`.
  KvCounts Counts() const;

 private:
  struct Block {
    std::array<uint16_t, kUses> uses{};
    int holders = 0;
    std::optional<kv_index::BlockKey> key;
    std::list<BlockId>::iterator lru;
  };

  std::vector<Block> blocks_;
  std::vector<BlockId> free_;
  std::list<BlockId> lru_;  // cached and unheld, least recently used first
  std::unordered_map<kv_index::BlockKey, BlockId> by_key_;
};

}  // namespace tokenworks::kv_cache
