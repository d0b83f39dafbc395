// SPDX-License-Identifier: Apache-2.0
#include "engine/model/scripted/kv_marks.h"

namespace tokenworks::model::scripted {

PrefixHash Extend(PrefixHash prefix, TokenId token) {
  uint64_t x = prefix * 0x9E3779B97F4A7C15ull + static_cast<uint32_t>(token) + 1;
  x ^= x >> 29;
  x *= 0xBF58476D1CE4E5B9ull;
  return x ^ (x >> 32);
}

KvMark MakeMark(int layer, int position, TokenId token, PrefixHash through) {
  return {static_cast<uint32_t>(position) * 1024u + static_cast<uint32_t>(layer), token, through};
}

KvLayout MarkLayout(int layers) {
  KvLayout layout;
  for (int l = 0; l < layers; ++l) {
    KvLayer layer;
    layer.heads = 1;
    layer.dim = 4;  // 2 planes x 4 values x 2 bytes = one mark a position
    layer.dtype = KvDtype::kF16;
    layer.offset = layout.block_bytes;
    layer.bytes = kLayerBytes;
    layer.inner_order = "marks";
    layout.block_bytes += layer.bytes;
    layout.layers.push_back(layer);
  }
  return layout;
}

}  // namespace tokenworks::model::scripted
