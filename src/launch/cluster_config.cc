// SPDX-License-Identifier: Apache-2.0
#include "launch/cluster_config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "platform/base/str_cat.h"

namespace tokenworks::launch {
namespace {

using base::StrCat;

// One row of the schema: how a key is read and printed. The only place where keys are named.
struct Key {
  std::string path;
  std::string accepts;
  std::function<bool(ClusterConfig&, const std::string&)> set;
  std::function<std::string(const ClusterConfig&)> get;
  bool text = false;
};

bool ParseInteger(const std::string& s, int64_t low, int64_t high, int64_t* out) {
  char* end = nullptr;
  errno = 0;
  const long long v = std::strtoll(s.c_str(), &end, 10);
  if (s.empty() || *end != 0 || errno != 0 || v < low || v > high) return false;
  *out = v;
  return true;
}

bool ParseBytes(const std::string& s, uint64_t* out) {
  char* end = nullptr;
  const double v = std::strtod(s.c_str(), &end);
  if (s.empty() || end == s.c_str() || !(v >= 0)) return false;
  static const std::pair<const char*, double> kUnits[] = {{"", 1}, {"B", 1}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
  for (const auto& [unit, factor] : kUnits)
    if (std::string(end) == unit && v * factor < 1e15) return *out = static_cast<uint64_t>(v * factor), true;
  return false;
}

Key Integer(std::string path, int ClusterConfig::*field, int low, int high) {
  return {path, StrCat("a whole number from ", low, " to ", high),
          [=](ClusterConfig& c, const std::string& s) { int64_t v; return ParseInteger(s, low, high, &v) && (c.*field = static_cast<int>(v), true); },
          [=](const ClusterConfig& c) { return StrCat(c.*field); }};
}
Key Boolean(std::string path, bool ClusterConfig::*field) {
  return {path, "true or false", [=](ClusterConfig& c, const std::string& s) { return (s == "true" || s == "false") && (c.*field = s == "true", true); },
          [=](const ClusterConfig& c) -> std::string { return c.*field ? "true" : "false"; }};
}
Key String(std::string path, std::string ClusterConfig::*field, std::vector<std::string> choices = {}) {
  std::string accepts = "text";
  if (!choices.empty()) {
    accepts = "one of";
    for (const std::string& choice : choices) accepts += " " + choice;
  }
  return {path, accepts,
          [=](ClusterConfig& c, const std::string& s) {
            if (!choices.empty() && std::find(choices.begin(), choices.end(), s) == choices.end()) return false;
            c.*field = s;
            return true;
          },
          [=](const ClusterConfig& c) { return c.*field; }, true};
}

void AddPool(std::vector<Key>& keys, const std::string& name, PoolConfig ClusterConfig::*pool) {
  const auto integer = [&](const char* leaf, int PoolConfig::*field, int high) {
    keys.push_back({"pools." + name + "." + leaf, StrCat("a whole number from 0 to ", high),
                    [=](ClusterConfig& c, const std::string& s) { int64_t v; return ParseInteger(s, 0, high, &v) && ((c.*pool).*field = static_cast<int>(v), true); },
                    [=](const ClusterConfig& c) { return StrCat((c.*pool).*field); }});
  };
  integer("replicas", &PoolConfig::replicas, 64);
  integer("threads", &PoolConfig::threads, 256);
  keys.push_back({"pools." + name + ".kv_memory", "bytes, such as 512MiB or 1GiB; 0 = automatic",
                  [=](ClusterConfig& c, const std::string& s) { return ParseBytes(s, &((c.*pool).kv_memory)); },
                  [=](const ClusterConfig& c) { return StrCat((c.*pool).kv_memory); }});
}

const std::vector<Key>& Table() {
  static const std::vector<Key> kTable = [] {
    using C = ClusterConfig;
    std::vector<Key> keys = {
        String("model.source", &C::model), String("model.name", &C::model_name), Integer("model.context_length", &C::context_length, 0, 1 << 24),
        String("http.host", &C::http_host), Integer("http.port", &C::http_port, 0, 65535), String("grpc.host", &C::grpc_host), Integer("grpc.port", &C::grpc_port, 0, 65535),
        String("router.policy", &C::router_policy, {"least_loaded", "round_robin", "random"}), String("router.disaggregate", &C::disaggregate, {"always", "never"}),
        Integer("router.queue_max", &C::router_queue_max, 1, 1 << 20), String("kv_transfer.wire", &C::wire, {"auto", "shm"}), Boolean("kv_transfer.checksum", &C::checksum),
        Integer("kv_transfer.test_flip_bits", &C::test_flip_bits, 0, 8), Integer("engine.chunk_tokens", &C::chunk_tokens, 16, 8192), Boolean("engine.prefix_cache", &C::prefix_cache),
        String("engine.kernels", &C::kernels), String("engine.step_log", &C::step_log), Boolean("security.insecure", &C::insecure)};
    keys.push_back({"kv_transfer.ring_bytes", "bytes from 1MiB", [](C& c, const std::string& s) { return ParseBytes(s, &c.ring_bytes) && c.ring_bytes >= (1u << 20); },
                    [](const C& c) { return StrCat(c.ring_bytes); }});
    keys.push_back({"engine.step_target_ms", "milliseconds above 0",
                    [](C& c, const std::string& s) { char* end = nullptr; c.step_target_ms = std::strtod(s.c_str(), &end); return !s.empty() && *end == 0 && c.step_target_ms > 0; },
                    [](const C& c) { return StrCat(c.step_target_ms); }});
    AddPool(keys, "prefill", &C::prefill);
    AddPool(keys, "decode", &C::decode);
    AddPool(keys, "mixed", &C::mixed);
    return keys;
  }();
  return kTable;
}

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t up = row[j];
      row[j] = std::min({up + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = up;
    }
  }
  return row[b.size()];
}

Status Walk(const YAML::Node& node, const std::string& prefix, const std::string& file, ClusterConfig& config) {
  const auto bad = [&](const YAML::Node& at, const std::string& what) { return absl::InvalidArgumentError(StrCat(file, ":", at.Mark().line + 1, ": ", what)); };
  if (!node.IsMap()) return bad(node, StrCat(prefix.empty() ? "the file" : prefix, " must be a mapping of keys"));
  std::vector<std::string> seen;
  for (const auto& entry : node) {
    const std::string name = entry.first.Scalar();
    const std::string path = prefix.empty() ? name : prefix + "." + name;
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) return bad(entry.first, StrCat("key ", path, " appears twice"));
    seen.push_back(name);
    if (entry.second.IsScalar()) {
      const Status status = SetKey(config, path == "model" ? "model.source" : path, entry.second.Scalar());
      if (!status.ok()) return bad(entry.first, std::string(status.message()));
    } else if (entry.second.IsMap()) {
      TW_RETURN_IF_ERROR(Walk(entry.second, path, file, config));
    } else {
      return bad(entry.first, StrCat("key ", path, " has no value, or a list; a single value is needed"));
    }
  }
  return OkStatus();
}

}  // namespace

Status SetKey(ClusterConfig& config, const std::string& key, const std::string& value) {
  const std::string* nearest = nullptr;
  size_t distance = 8;
  for (const Key& k : Table()) {
    if (k.path == key) {
      if (key == "router.disaggregate" && value == "auto") return absl::InvalidArgumentError("router.disaggregate: 'auto' is not built yet; use always or never");
      if (k.set(config, value)) return OkStatus();
      return absl::InvalidArgumentError(StrCat(key, ": '", value, "' is not accepted; it takes ", k.accepts));
    }
    if (const size_t d = EditDistance(k.path, key); d < distance) distance = d, nearest = &k.path;
  }
  return absl::NotFoundError(StrCat("unknown key '", key, "'", nearest ? StrCat("; did you mean ", *nearest, "?") : std::string("; `tokenworks up --print-config` lists all keys")));
}

Status LoadYaml(const std::string& path, ClusterConfig& config) {
  try {
    const YAML::Node root = YAML::LoadFile(path);
    if (root.IsNull()) return OkStatus();
    return Walk(root, "", path, config);
  } catch (const YAML::BadFile&) {
    return absl::NotFoundError(StrCat("cannot read ", path));
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(StrCat(path, ":", e.mark.line + 1, ": ", e.msg));
  }
}

Status Validate(const ClusterConfig& c) {
  if (c.prefill.replicas + c.decode.replicas + c.mixed.replicas == 0) return absl::InvalidArgumentError("pools: no worker at all; set pools.mixed.replicas or prefill and decode");
  if (c.disaggregate == "always" && c.mixed.replicas == 0 && (c.prefill.replicas == 0 || c.decode.replicas == 0))
    return absl::InvalidArgumentError("router.disaggregate always needs at least one prefill and one decode worker (pools.prefill.replicas, pools.decode.replicas)");
  for (const auto& [key, host] : {std::pair("http.host", c.http_host), std::pair("grpc.host", c.grpc_host)}) {
    const bool loopback = host == "localhost" || host.rfind("127.", 0) == 0 || host == "::1";
    if (loopback || c.insecure) continue;
    return absl::InvalidArgumentError(StrCat(key, " ", host, " is not loopback and there are no API keys yet: add --insecure (security.insecure: true) if that is meant"));
  }
  return OkStatus();
}

std::string PrintConfig(const ClusterConfig& config) {
  std::string out;
  for (const Key& k : Table()) out += StrCat(k.path, ": ", k.get(config), "\n");
  return out;
}

std::string ConfigJson(const ClusterConfig& config) {
  nlohmann::ordered_json out;
  for (const Key& k : Table()) {
    const std::string v = k.get(config);
    out[k.path] = k.text ? nlohmann::ordered_json(v) : nlohmann::ordered_json::parse(v);
  }
  return out.dump();
}

Status LoadText(const std::string& text, ClusterConfig& config) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    TW_RETURN_IF_ERROR(SetKey(config, line.substr(0, colon), line.substr(colon + 2)));
  }
  return OkStatus();
}

}  // namespace tokenworks::launch
