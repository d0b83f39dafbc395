// SPDX-License-Identifier: Apache-2.0
// Configuration: mistakes are refused with place and remedy, sources override each other in order, and the table is
// complete.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "launch/schema.h"
#include "temporary_folder.h"

namespace tokenworks::launch {
namespace {

using testing::HasSubstr;

struct Mistake {
  const char* yaml;
  const char* line;  // after the file's name
  const char* says;
};

TEST(Config, TheGpuDefaultIsTheCommittedFile) {
  ClusterConfig config;
  ASSERT_TRUE(LoadYaml("configs/clusters/local-gpu.yaml", config).ok());
  EXPECT_EQ(PrintConfig(config), PrintConfig(LocalGpuConfig(1)));
}

TEST(Yaml, MistakesNameFileLineAndRemedy) {
  const Mistake mistakes[] = {
      {"http:\n  prot: 1\n", ":2:", "did you mean http.port?"},
      {"htpp: {port: 1}\n", ":1:", "unknown key 'htpp'"},
      {"something: 1\n", ":1:", "--print-reference"},
      {"http: {port: ninety}\n", ":1:", "'ninety' is not accepted; it takes a whole number from 0 to 65535"},
      {"http:\n  port: 70000\n", ":2:", "'70000' is not accepted"},
      {"http:\n  port: -1\n", ":2:", "'-1' is not accepted"},
      {"http:\n  port: 99999999999999999999\n", ":2:", "is not accepted"},
      {"http:\n  port: [1, 2]\n", ":2:", "a single value is needed"},
      {"http:\n  port:\n", ":2:", "a single value is needed"},
      {"http: 8000\n", ":1:", "http is a section"},
      {"pools: [1]\n", ":1:", "must be a mapping"},
      {"pools:\n  prefill: {replicas: 1}\n  prefill: {replicas: 2}\n", ":3:", "appears twice"},
      {"router: {disaggregate: auto}\n", ":1:", "not built yet"},
      {"router: {policy: best}\n", ":1:", "least_loaded, round_robin or random"},
      {"engine: {step_target_ms: .nan}\n", ":1:", "milliseconds above 0"},
      {"engine: {step_target_ms: nan}\n", ":1:", "milliseconds above 0"},
      {"engine: {step_target_ms: inf}\n", ":1:", "milliseconds above 0"},
      {"engine: {prefix_cache: 1}\n", ":1:", "true or false"},
      {"engine: {kernels: \"a\\nb\"}\n", ":1:", "text in one line"},
      {"http: {host: \xff}\n", ":1:", "UTF-8"},
      {"kv_transfer: {ring_bytes: 5}\n", ":1:", "bytes from 1MiB"},
      {"pools: {decode: {kv_memory: 1 gig}}\n", ":1:", "512MiB"},
      {"http:\n\tport: 1\n", ":2:", ""},
      {"http: {port: \"80\n", ":", ""},
      {"? [a]\n: 1\n", ":", "not a plain word"},
      {"- 1\n", ":1:", "must be a mapping"},
      {"just words\n", ":1:", "must be a mapping"},
      {"http: &a {port: 1, next: *a}\n", ":1:", ""},
      {"a: &a {x: 1}\nb: &b {x: *a, y: *a}\nc: {x: *b, y: *b}\n", ":1:", "unknown key 'a'"},
      {"http: {port: *nowhere}\n", ":1:", ""},
  };
  const TemporaryFolder folder;
  for (const Mistake& m : mistakes) {
    const std::string path = folder.File("cluster.yaml", m.yaml);
    ClusterConfig config;
    const Status status = LoadYaml(path, config);
    ASSERT_FALSE(status.ok()) << m.yaml;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path + m.line)) << m.yaml;
    EXPECT_THAT(std::string(status.message()), HasSubstr(m.says)) << m.yaml;
    EXPECT_EQ(PrintConfig(config), PrintConfig({})) << "a refused file must change nothing: " << m.yaml;
  }
}

TEST(Yaml, FilesThatAreNone) {
  const TemporaryFolder folder;
  ClusterConfig config;
  EXPECT_THAT(std::string(LoadYaml(folder.path(), config).message()), HasSubstr("is a folder"));
  EXPECT_EQ(LoadYaml(folder.path() + "/absent.yaml", config).code(), StatusCode::kNotFound);
  EXPECT_THAT(std::string(LoadYaml(folder.File("big.yaml", std::string(2 << 20, '#')), config).message()),
              HasSubstr("at most"));
  EXPECT_FALSE(LoadYaml(folder.File("deep.yaml", std::string(100'000, '[')), config).ok());
  EXPECT_FALSE(LoadYaml(folder.File("bytes.yaml", "http: {host: \xff\xfe\x01}\n"), config).ok());
  EXPECT_TRUE(LoadYaml(folder.File("empty.yaml", ""), config).ok());
  EXPECT_TRUE(LoadYaml(folder.File("comment.yaml", "# nothing\n"), config).ok());
  EXPECT_EQ(PrintConfig(config), PrintConfig({}));
}

TEST(Yaml, BothFormsOfModelAndEmptySections) {
  const TemporaryFolder folder;
  ClusterConfig config;
  ASSERT_TRUE(LoadYaml(folder.File("a.yaml", "model: other.gguf\nhttp:\n"), config).ok());
  EXPECT_EQ(config.model, "other.gguf");
  ASSERT_TRUE(
      LoadYaml(
          folder.File(
              "b.yaml",
              "model: {source: third.gguf, name: third, context_length: 512}\npools: {decode: {kv_memory: 1.5GiB}}\n"),
          config)
          .ok());
  EXPECT_EQ(config.model, "third.gguf");
  EXPECT_EQ(config.model_name, "third");
  EXPECT_EQ(config.decode.kv_memory, uint64_t{3} << 29);
}

TEST(Config, LaterSourcesOverrideEarlierOnes) {
  const TemporaryFolder folder;
  ClusterConfig config;
  EXPECT_EQ(config.http_port, 8000);
  ASSERT_TRUE(
      LoadYaml(folder.File("a.yaml", "http: {port: 1}\nengine: {chunk_tokens: 64}\nrouter: {queue_max: 7}\n"), config)
          .ok());
  const char* environment[] = {"PATH=/bin", "TOKENWORKS_HTTP__PORT=2", "TOKENWORKS_ENGINE__CHUNK_TOKENS=128",
                               "TOKENWORKS_HOME=/x", nullptr};
  ASSERT_TRUE(LoadEnvironment(environment, config).ok());
  ASSERT_TRUE(SetKey(config, "http.port", "3").ok());
  EXPECT_EQ(config.http_port, 3);
  EXPECT_EQ(config.chunk_tokens, 128);
  EXPECT_EQ(config.router_queue_max, 7);
}

TEST(Config, EnvironmentMistakesNameTheVariable) {
  ClusterConfig config;
  const auto error = [&](const char* entry) {
    const char* environment[] = {entry, nullptr};
    return std::string(LoadEnvironment(environment, config).message());
  };
  EXPECT_THAT(error("TOKENWORKS_HTTP__PROT=1"),
              HasSubstr("TOKENWORKS_HTTP__PROT: unknown key 'http.prot'; did you mean http.port?"));
  EXPECT_THAT(error("TOKENWORKS_HTTP__PORT=x"), HasSubstr("TOKENWORKS_HTTP__PORT: http.port: 'x' is not accepted"));
  EXPECT_THAT(error("TOKENWORKS_HTTP_PORT=1"), HasSubstr("did you mean TOKENWORKS_HTTP__PORT?"));
  EXPECT_THAT(error("TOKENWORKS_POOLS_DECODE_KV_MEMORY=1"),
              HasSubstr("did you mean TOKENWORKS_POOLS__DECODE__KV_MEMORY?"));
  EXPECT_EQ(error("TOKENWORKS_HOME=/x"), "");
  EXPECT_EQ(error("TOKENWORKS_KERNELS=scalar"), "");
}

TEST(Config, EveryKeyPrintsAndReadsBack) {
  // Another value for each, so that a key that writes to the wrong field shows.
  ClusterConfig changed;
  int n = 3;
  for (const Key& k : Schema()) {
    const std::string before = k.get(changed);
    bool set = false;
    for (const std::string& candidate :
         {std::to_string(1'048'576 + n), std::to_string(20 + n), std::string(before == "true" ? "false" : "true"),
          std::string("random"), std::string("never"), std::string("shm"), std::string("cuda"), std::string("1")})
      if (!set && candidate != before) set = k.set(changed, candidate) && k.get(changed) != before;
    EXPECT_TRUE(set) << k.path;
    EXPECT_FALSE(k.about.empty() || k.accepts.empty()) << k.path;
    ++n;
  }
  ClusterConfig read;
  ASSERT_TRUE(LoadText(PrintConfig(changed), read).ok());
  EXPECT_EQ(PrintConfig(read), PrintConfig(changed));
  EXPECT_NE(PrintConfig(read), PrintConfig({}));
}

TEST(Config, ReferenceFileIsFreshAndHoldsTheDefaults) {
  std::ifstream in("configs/reference.yaml");
  std::stringstream committed;
  committed << in.rdbuf();
  EXPECT_EQ(committed.str(), ReferenceYaml()) << "run `tokenworks up --print-reference > configs/reference.yaml`";
  ClusterConfig config;
  config.http_port = 1;
  ASSERT_TRUE(LoadYaml("configs/reference.yaml", config).ok());
  EXPECT_EQ(PrintConfig(config), PrintConfig({}));
}

TEST(Config, ImpossibleCombinationsNameTheKeys) {
  const auto error = [](const std::function<void(ClusterConfig&)>& change) {
    ClusterConfig config;
    change(config);
    return std::string(Validate(config).message());
  };
  EXPECT_EQ(error([](ClusterConfig&) {}), "");
  EXPECT_THAT(error([](ClusterConfig& c) { c.decode.replicas = 0; }), HasSubstr("pools.decode.replicas"));
  EXPECT_THAT(error([](ClusterConfig& c) { c.decode.replicas = c.prefill.replicas = 0; }),
              HasSubstr("no worker at all"));
  EXPECT_THAT(error([](ClusterConfig& c) { c.http_host = "0.0.0.0"; }), HasSubstr("--insecure"));
  EXPECT_THAT(error([](ClusterConfig& c) { c.grpc_host = "192.168.1.1"; }), HasSubstr("grpc.host"));
  EXPECT_EQ(error([](ClusterConfig& c) { c.http_host = "0.0.0.0", c.insecure = true; }), "");
  EXPECT_EQ(error([](ClusterConfig& c) { c.http_host = "::1"; }), "");
}

TEST(NearestName, IsNearOrNothing) {
  EXPECT_EQ(NearestName("statsu", {"up", "down", "status"}), "status");
  EXPECT_EQ(NearestName("xyzzy", {"up", "down", "status"}), "");
  EXPECT_EQ(NearestName(std::string(100'000, 'a'), {"up"}), "");
  EXPECT_EQ(NearestKey("pools.decode.thread"), "pools.decode.threads");
}

}  // namespace
}  // namespace tokenworks::launch
