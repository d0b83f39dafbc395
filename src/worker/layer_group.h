// SPDX-License-Identifier: Apache-2.0
// Which part of a block one layer group is.
#pragma once

#include <algorithm>

#include "tokenworks/executor.h"

namespace tokenworks::worker {

struct LayerGroup {
  int first_layer = 0, layers = 0;
  uint64_t bytes = 0;
};

// Groups of `group_layers`, the last of what is left; `group` is one of them.
inline LayerGroup LayerGroupOf(const KvLayout& layout, int group_layers, int group) {
  LayerGroup g;
  g.first_layer = group * group_layers;
  g.layers = std::min(group_layers, static_cast<int>(layout.layers.size()) - g.first_layer);
  for (int l = g.first_layer; l < g.first_layer + g.layers; ++l) g.bytes += layout.layers[l].bytes;
  return g;
}
inline LayerGroup LayerGroupOf(const ExecutorInfo& info, int group) {
  return LayerGroupOf(info.kv_layout, info.layer_group_layers, group);
}

}  // namespace tokenworks::worker
