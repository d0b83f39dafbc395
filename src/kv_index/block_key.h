// SPDX-License-Identifier: Apache-2.0
// The name of a KV block's content: a hash chained over everything that the content depends on.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "tokenworks/ids.h"

namespace tokenworks::kv_index {

struct BlockKey {
  uint64_t high = 0, low = 0;
  auto operator<=>(const BlockKey&) const = default;
};

// The parent of a sequence's first block.
BlockKey RootKey(std::string_view model_fingerprint, std::string_view adapter, std::string_view tenant,
                 std::string_view salt);

// Key of a full block of tokens after `parent`; `extra` names what else went in (an image, an adapter).
BlockKey ChildKey(const BlockKey& parent, std::span<const TokenId> tokens, std::string_view extra = {});

}  // namespace tokenworks::kv_index

template <>
struct std::hash<tokenworks::kv_index::BlockKey> {
  size_t operator()(const tokenworks::kv_index::BlockKey& k) const noexcept { return k.low; }
};
