// SPDX-License-Identifier: Apache-2.0
// KV is described, not assumed: what lies inside one block.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tokenworks {

inline constexpr int kBlockTokens = 16;

enum class KvLayerKind : uint8_t { kAttention, kLatent, kWindowed, kRecurrent };
enum class KvDtype : uint8_t { kF32, kF16, kBf16 };

constexpr int KvDtypeBytes(KvDtype t) { return t == KvDtype::kF32 ? 4 : 2; }

// One layer's part of a block: planes (K, V) x heads x block_tokens x dim values.
struct KvLayer {
  KvLayerKind kind = KvLayerKind::kAttention;
  int planes = 2;
  int heads = 0;
  int dim = 0;
  KvDtype dtype = KvDtype::kF16;
  uint64_t offset = 0;      // bytes from the block's start
  uint64_t bytes = 0;       // of this layer; layers lie one after the other
  std::string inner_order;  // names the executor's element order inside a layer
  bool operator==(const KvLayer&) const = default;
};

// A block over all layers is one contiguous run of block_bytes; a layer group is one contiguous run of it.
struct KvLayout {
  int block_tokens = kBlockTokens;
  uint64_t block_bytes = 0;
  std::vector<KvLayer> layers;
  bool operator==(const KvLayout&) const = default;
};

// Layers of plain attention, all alike, one after the other.
inline KvLayout AttentionKvLayout(int layers, int heads, int dim, KvDtype dtype, const std::string& inner_order) {
  KvLayout layout;
  for (int l = 0; l < layers; ++l) {
    KvLayer layer{.heads = heads, .dim = dim, .dtype = dtype, .offset = layout.block_bytes, .inner_order = inner_order};
    layer.bytes = static_cast<uint64_t>(layer.planes) * heads * dim * kBlockTokens * KvDtypeBytes(dtype);
    layout.block_bytes += layer.bytes;
    layout.layers.push_back(std::move(layer));
  }
  return layout;
}

}  // namespace tokenworks
