// SPDX-License-Identifier: Apache-2.0
// Every configuration key, once: how it is read, printed and explained. File, environment, flags, --print-config,
// /v1/config and configs/reference.yaml all come from this table.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/cluster_config.h"

namespace tokenworks::launch {

struct Key {
  std::string path;                                             // "pools.decode.threads"
  std::string accepts;                                          // "a whole number from 0 to 256"
  std::string about;                                            // one sentence
  std::function<bool(ClusterConfig&, const std::string&)> set;  // false: not accepted, and nothing changed
  std::function<std::string(const ClusterConfig&)> get;         // text that `set` accepts
  bool text = false;                                            // a JSON string in ConfigJson, else a number or boolean
};

const std::vector<Key>& Schema();
// Null when there is none.
const Key* FindKey(const std::string& path);
// The nearest existing path within a few letters; empty when nothing is near.
std::string NearestKey(const std::string& path);
// The nearest of `names` within a few letters; empty when nothing is near.
std::string NearestName(const std::string& name, const std::vector<std::string>& names);

// A commented YAML file with every key at its default.
std::string ReferenceYaml();

}  // namespace tokenworks::launch
