// SPDX-License-Identifier: Apache-2.0
// KV content that says which tokens it stands for, so that a wrong, stale or half-copied block is seen when it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tokenworks/ids.h"
#include "tokenworks/kv_layout.h"

namespace tokenworks::model::scripted {

// Stands for the tokens of positions 0 .. n-1; 0 positions = kEmptyPrefix.
using PrefixHash = uint64_t;
inline constexpr PrefixHash kEmptyPrefix = 0x746F6B656E776F72ull;
PrefixHash Extend(PrefixHash prefix, TokenId token);

// One layer's share of one position: 16 bytes in a block.
struct KvMark {
  uint32_t position_and_layer = 0;
  TokenId token = 0;
  uint64_t prefix = 0;  // of all tokens up to this one, this one included
  bool operator==(const KvMark&) const = default;
};
static_assert(sizeof(KvMark) == 16);

KvMark MakeMark(int layer, int position, TokenId token, PrefixHash through);
// One layer of KV is kBlockTokens marks.
inline constexpr uint64_t kLayerBytes = sizeof(KvMark) * kBlockTokens;
KvLayout MarkLayout(int layers);

}  // namespace tokenworks::model::scripted
