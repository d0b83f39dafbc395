// SPDX-License-Identifier: Apache-2.0
// Everything that a cluster can be told, with its defaults.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tokenworks/status.h"

namespace tokenworks::launch {

struct PoolConfig {
  int replicas = 0;
  int threads = 0;         // of each worker; 0 = CPUs / workers, at least 1
  uint64_t kv_memory = 0;  // bytes of each worker; 0 = 1 GiB or an eighth of the machine, the smaller; on a GPU nine
                           // tenths of what the model leaves
  std::string device = "cpu";
};

struct ClusterConfig {
  std::string model = "default";  // a file, a pip: source or a known name
  std::string model_name;         // what it answers to; empty = the source's own
  int context_length = 0;         // 0 = the model's
  std::string http_host = "127.0.0.1";
  int http_port = 8000;
  std::string grpc_host = "127.0.0.1";
  int grpc_port = 0;
  std::string router_policy = "least_loaded";
  std::string disaggregate = "always";
  int router_queue_max = 512;
  PoolConfig prefill{1}, decode{1}, mixed{0};
  std::string wire = "auto";
  bool checksum = true;
  uint64_t ring_bytes = 32u << 20;
  int test_flip_bits = 0;
  int chunk_tokens = 512;
  double step_target_ms = 50;
  bool prefix_cache = true;
  std::string kernels;
  std::string step_log;
  bool insecure = false;
  std::set<std::string> given;  // keys that somebody has set, to whatever value
};

// What a cluster is without a file where there are GPUs: one mixed worker on each (configs/clusters/local-gpu.yaml).
ClusterConfig LocalGpuConfig(size_t gpus);

// Sets one key ("pools.prefill.threads") from text. NotFound with a suggestion, InvalidArgument with the accepted
// values.
Status SetKey(ClusterConfig& config, const std::string& key, const std::string& value);
// Reads a YAML file over `config`, which stays as it was on failure. InvalidArgument: "FILE:LINE: what, and what is
// accepted".
Status LoadYaml(const std::string& path, ClusterConfig& config);
// Reads TOKENWORKS_SECTION__KEY=value out of a null-terminated list. InvalidArgument names the variable, also when a
// key is spelled with single underscores; other TOKENWORKS_* variables are no keys and left alone.
Status LoadEnvironment(const char* const* environment, ClusterConfig& config);
// What fits together: InvalidArgument names the keys.
Status Validate(const ClusterConfig& config);
// All keys and values as "key: value" lines, in the table's order; LoadText reads them back.
std::string PrintConfig(const ClusterConfig& config);
// The same as a flat JSON object.
std::string ConfigJson(const ClusterConfig& config);
Status LoadText(const std::string& text, ClusterConfig& config);

}  // namespace tokenworks::launch
