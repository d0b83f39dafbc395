// SPDX-License-Identifier: Apache-2.0
// Cluster files: loaded whole, or refused with the file's name and nothing changed; what was loaded prints and reads
// back.
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_target.h"
#include "launch/cluster_config.h"
#include "launch/schema.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tokenworks::launch;
  if (size > 16384) return 0;
  const int fd = memfd_create("yaml", MFD_CLOEXEC);
  FUZZ_EXPECT(write(fd, data, size) == static_cast<ssize_t>(size));
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  ClusterConfig config;
  const auto status = LoadYaml(path, config);
  close(fd);
  if (!status.ok()) {
    FUZZ_EXPECT(std::string(status.message()).find(path) != std::string::npos);
    FUZZ_EXPECT(PrintConfig(config) == PrintConfig({}));
    return 0;
  }
  ClusterConfig read;
  FUZZ_EXPECT(LoadText(PrintConfig(config), read).ok());
  FUZZ_EXPECT(PrintConfig(read) == PrintConfig(config));
  FUZZ_EXPECT(!ConfigJson(config).empty());
  return 0;
}

std::vector<std::string> Seeds() {
  return {
      tokenworks::launch::ReferenceYaml(),
      "model: default\nhttp: {port: 0}\npools:\n  prefill: {replicas: 1, kv_memory: 512MiB}\n  decode: {replicas: 2}\n",
      "model: {source: x.gguf, name: \"a\\tb\"}\nengine: &e {step_target_ms: 1.5e2}\nrouter: *e\n"};
}
