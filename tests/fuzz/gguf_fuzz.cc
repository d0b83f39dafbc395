// SPDX-License-Identifier: Apache-2.0
// Model files: opened or refused with a sentence that names the file; every tensor of an opened one lies inside it.
#include <sys/mman.h>
#include <unistd.h>

#include "engine/model/model_config.h"
#include "fuzz_target.h"
#include "model_files/gguf.h"
#include "tests/gguf/tiny_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tokenworks;
  const int fd = memfd_create("gguf", MFD_CLOEXEC);
  FUZZ_EXPECT(write(fd, data, size) == static_cast<ssize_t>(size));
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const auto file = model_files::GgufFile::Open(path);
  if (!file.ok()) {
    FUZZ_EXPECT(std::string(file.status().message()).find(path) != std::string::npos);
  } else {
    uint64_t sum = 0;
    for (const auto& tensor : (*file)->tensors()) {
      FUZZ_EXPECT(tensor.data.size() <= size);
      if (!tensor.data.empty())
        sum += static_cast<uint64_t>(tensor.data.front()) + static_cast<uint64_t>(tensor.data.back());
      FUZZ_EXPECT((*file)->Find(tensor.name) != nullptr);
    }
    const auto config = model::ReadModelConfig(**file);
    if (config.ok())
      FUZZ_EXPECT(config->layers > 0 && config->embedding > 0 && config->query_heads % config->kv_heads == 0 &&
                  config->vocabulary > 0);
    else
      FUZZ_EXPECT(!config.status().message().empty() && sum + 1 > 0);
  }
  close(fd);
  return 0;
}

std::vector<std::string> Seeds() {
  using namespace tokenworks::gguf;
  FileBuilder small;
  small.String("general.architecture", "llama")
      .Unsigned("llama.block_count", 1)
      .Float("llama.attention.layer_norm_rms_epsilon", 1e-5f)
      .Strings("tokenizer.ggml.tokens", {"a", "b"});
  small.Add({"token_embd.weight", 0, {4, 2}, std::string(32, 'x')});
  std::string metadata = TinyModel(1).Build();
  metadata.resize(std::min<size_t>(metadata.size(), 8192));
  return {small.Build(), FileBuilder().Build(), metadata};
}
