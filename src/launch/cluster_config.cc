// SPDX-License-Identifier: Apache-2.0
#include "launch/cluster_config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launch/schema.h"
#include "platform/base/str_cat.h"

namespace tokenworks::launch {
namespace {

using base::StrCat;

constexpr uintmax_t kFileBytesMax = 1 << 20;

bool IsSection(const std::string& path) {
  return std::any_of(Schema().begin(), Schema().end(), [&](const Key& k) { return k.path.starts_with(path + "."); });
}

Status Unknown(const std::string& path) {
  const std::string nearest = NearestKey(path);
  return absl::NotFoundError(StrCat("unknown key '", path, "'",
                                    nearest.empty() ? std::string("; `tokenworks up --print-reference` lists all keys")
                                                    : StrCat("; did you mean ", nearest, "?")));
}

// Unknown sections are refused before they are entered: the depth is the schema's, whatever the file holds.
Status Walk(const YAML::Node& node, const std::string& prefix, const std::string& file, ClusterConfig& config) {
  const auto bad = [&](const YAML::Node& at, const std::string& what) {
    return absl::InvalidArgumentError(StrCat(file, ":", at.Mark().line + 1, ": ", what));
  };
  if (!node.IsMap()) return bad(node, StrCat(prefix.empty() ? "the file" : prefix, " must be a mapping of keys"));
  std::vector<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar())
      return bad(entry.first, StrCat("a key of ", prefix.empty() ? "the file" : prefix, " is not a plain word"));
    const std::string name = entry.first.Scalar();
    const std::string path = prefix.empty() ? name : prefix + "." + name;
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      return bad(entry.first, StrCat("key ", path, " appears twice"));
    seen.push_back(name);
    const bool section = IsSection(path);
    if (entry.second.IsScalar()) {
      const std::string key = path == "model" ? "model.source" : path;
      if (section && path != "model")
        return bad(entry.first, StrCat(path, " is a section; give it keys, as in `", path, ": {…}`"));
      if (const Status status = SetKey(config, key, entry.second.Scalar()); !status.ok())
        return bad(entry.first, std::string(status.message()));
    } else if (section && entry.second.IsMap()) {
      TW_RETURN_IF_ERROR(Walk(entry.second, path, file, config));
    } else if (section && entry.second.IsNull()) {
      continue;
    } else if (section || FindKey(path) != nullptr) {
      return bad(entry.first, StrCat("key ", path,
                                     section ? " must be a mapping of keys"
                                             : " has no value, or a list or mapping; a single value is needed"));
    } else {
      return bad(entry.first, std::string(Unknown(path).message()));
    }
  }
  return OkStatus();
}

}  // namespace

Status SetKey(ClusterConfig& config, const std::string& key, const std::string& value) {
  const Key* k = FindKey(key);
  if (k == nullptr) return Unknown(key);
  if (key == "router.disaggregate" && value == "auto")
    return absl::InvalidArgumentError("router.disaggregate: 'auto' is not built yet; use always or never");
  if (k->set(config, value)) return config.given.insert(key), OkStatus();
  return absl::InvalidArgumentError(StrCat(key, ": '", value, "' is not accepted; it takes ", k->accepts));
}

Status LoadYaml(const std::string& path, ClusterConfig& config) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return absl::InvalidArgumentError(StrCat(path, " is a folder; name a YAML file in it"));
  if (!std::filesystem::exists(path, error))
    return absl::NotFoundError(
        StrCat("there is no cluster file ", path, "; `tokenworks up --print-reference` shows what one holds"));
  if (const auto bytes = std::filesystem::file_size(path, error); !error && bytes > kFileBytesMax)
    return absl::InvalidArgumentError(
        StrCat(path, " has ", bytes, " bytes; a cluster file has at most ", kFileBytesMax));
  ClusterConfig loaded = config;
  try {
    const YAML::Node root = YAML::LoadFile(path);
    if (!root.IsNull()) TW_RETURN_IF_ERROR(Walk(root, "", path, loaded));
  } catch (const YAML::BadFile&) {
    return absl::NotFoundError(StrCat("cannot read ", path));
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(StrCat(path, ":", e.mark.line + 1, ": ", e.msg));
  }
  config = std::move(loaded);
  return OkStatus();
}

Status LoadEnvironment(const char* const* environment, ClusterConfig& config) {
  for (; *environment != nullptr; ++environment) {
    const std::string text = *environment, name = text.substr(0, text.find('='));
    if (!text.starts_with("TOKENWORKS_") || name.size() == text.size()) continue;
    std::string key, flat;  // TOKENWORKS_HTTP__PORT: two underscores are a dot
    for (size_t i = 11; i < name.size(); ++i) {
      const bool dot = name[i] == '_' && i + 1 < name.size() && name[i + 1] == '_';
      key += dot ? '.' : static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
      i += dot;
    }
    Status status = OkStatus();
    if (key.find('.') != std::string::npos) {
      status = SetKey(config, key, text.substr(name.size() + 1));
    } else {
      for (const Key& k : Schema()) {
        flat = k.path;
        std::replace(flat.begin(), flat.end(), '.', '_');
        if (flat != key) continue;
        std::string spelled;
        for (const char c : k.path)
          spelled += c == '.' ? "__" : std::string(1, static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
        status = absl::InvalidArgumentError(
            StrCat("sections are set off by two underscores; did you mean TOKENWORKS_", spelled, "?"));
      }
    }
    if (!status.ok())
      return absl::InvalidArgumentError(StrCat("environment variable ", name, ": ", std::string(status.message())));
  }
  return OkStatus();
}

ClusterConfig LocalGpuConfig(size_t gpus) {
  ClusterConfig c;
  c.disaggregate = "never";
  c.prefill.replicas = c.decode.replicas = 0;
  c.mixed.replicas = static_cast<int>(std::min<size_t>(gpus, 64));
  c.mixed.device = "cuda";
  return c;
}

Status Validate(const ClusterConfig& c) {
  if (c.prefill.replicas + c.decode.replicas + c.mixed.replicas == 0)
    return absl::InvalidArgumentError("pools: no worker at all; set pools.mixed.replicas or prefill and decode");
  if (c.disaggregate == "always" && c.mixed.replicas == 0 && (c.prefill.replicas == 0 || c.decode.replicas == 0))
    return absl::InvalidArgumentError(
        "router.disaggregate always needs at least one prefill and one decode worker (pools.prefill.replicas, "
        "pools.decode.replicas)");
  for (const auto& [key, host] : {std::pair("http.host", c.http_host), std::pair("grpc.host", c.grpc_host)}) {
    const bool loopback = host == "localhost" || host.rfind("127.", 0) == 0 || host == "::1";
    if (loopback || c.insecure) continue;
    return absl::InvalidArgumentError(StrCat(
        key, " ", host,
        " is not loopback and there are no API keys yet: add --insecure (security.insecure: true) if that is meant"));
  }
  return OkStatus();
}

std::string PrintConfig(const ClusterConfig& config) {
  std::string out;
  for (const Key& k : Schema()) {
    const std::string value = k.get(config);
    out += StrCat(k.path, ": ", value.empty() ? "\"\"" : value, "\n");  // as YAML reads it back
  }
  return out;
}

std::string ConfigJson(const ClusterConfig& config) {
  nlohmann::ordered_json out;
  for (const Key& k : Schema()) {
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
    const std::string value = line.substr(colon + 2);
    TW_RETURN_IF_ERROR(SetKey(config, line.substr(0, colon), value == "\"\"" ? "" : value));
  }
  return OkStatus();
}

}  // namespace tokenworks::launch
