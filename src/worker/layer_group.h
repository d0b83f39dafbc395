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

// `group` is 0 .. info.layer_groups - 1.
inline LayerGroup LayerGroupOf(const ExecutorInfo& info, int group) {
  LayerGroup g;
  g.first_layer = group * info.layer_group_layers;
  g.layers = std::min(info.layer_group_layers, static_cast<int>(info.kv_layout.layers.size()) - g.first_layer);
  for (int l = g.first_layer; l < g.first_layer + g.layers; ++l) g.bytes += info.kv_layout.layers[l].bytes;
  return g;
}

}  // namespace tokenworks::worker
