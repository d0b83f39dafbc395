// SPDX-License-Identifier: Apache-2.0
#include "engine/kv_cache/block_pool.h"

#include "platform/base/check.h"

namespace tokenworks::kv_cache {

BlockPool::BlockPool(int blocks) : blocks_(blocks) {
  for (int b = blocks - 1; b >= 0; --b) free_.push_back(b);
}

std::optional<BlockId> BlockPool::Allocate(Use use) {
  BlockId block;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
  } else if (!lru_.empty()) {
    block = lru_.front();
    lru_.pop_front();
    Forget(block);
  } else {
    return std::nullopt;
  }
  blocks_[block].holders = 1;
  ++blocks_[block].uses[static_cast<int>(use)];
  return block;
}

void BlockPool::Forget(BlockId block) {
  if (!blocks_[block].key) return;
  by_key_.erase(*blocks_[block].key);
  blocks_[block].key.reset();
}

void BlockPool::Hold(BlockId block, Use use) {
  Block& b = blocks_[block];
  if (b.holders == 0) {
    TW_CHECK(b.key.has_value(), "a block that is free cannot be held");
    lru_.erase(b.lru);
  }
  ++b.holders;
  ++b.uses[static_cast<int>(use)];
}

void BlockPool::Drop(BlockId block, Use use) {
  Block& b = blocks_[block];
  TW_CHECK(b.uses[static_cast<int>(use)] > 0, "a block is dropped by somebody who does not hold it");
  --b.uses[static_cast<int>(use)];
  if (--b.holders > 0) return;
  if (b.key.has_value())
    b.lru = lru_.insert(lru_.end(), block);
  else
    free_.push_back(block);
}

void BlockPool::Move(BlockId block, Use from, Use to) {
  Block& b = blocks_[block];
  TW_CHECK(b.uses[static_cast<int>(from)] > 0, "a block changes from a use that it does not have");
  --b.uses[static_cast<int>(from)];
  ++b.uses[static_cast<int>(to)];
}

void BlockPool::Register(BlockId block, const kv_index::BlockKey& key) {
  Block& b = blocks_[block];
  TW_CHECK(b.holders > 0, "content of a block that nobody holds");
  if (b.key.has_value() || !by_key_.emplace(key, block).second) return;
  b.key = key;
}

std::optional<BlockId> BlockPool::Find(const kv_index::BlockKey& key) const {
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return std::nullopt;
  return it->second;
}

KvCounts BlockPool::Counts() const {
  KvCounts c;
  c.total = size();
  c.free = static_cast<int>(free_.size());
  c.cached = static_cast<int>(lru_.size());
  for (const Block& b : blocks_) {
    if (b.holders == 0) continue;
    if (b.uses[static_cast<int>(Use::kActive)])
      ++c.active;
    else if (b.uses[static_cast<int>(Use::kSending)])
      ++c.sending;
    else if (b.uses[static_cast<int>(Use::kReceiving)])
      ++c.receiving;
    else
      ++c.reserved;
  }
  TW_CHECK(c.free + c.cached + c.active + c.sending + c.receiving + c.reserved == c.total,
           "block states do not add up");
  return c;
}

}  // namespace tokenworks::kv_cache
