// SPDX-License-Identifier: Apache-2.0
// What a step of a model must move and compute at least, and what this machine can do at most. Prints JSON.
//   floor_bench MODEL [threads]
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/kernels/ceilings.h"
#include "engine/model/model_config.h"
#include "model_files/gguf.h"

int main(int argc, char** argv) {
  using namespace tokenworks;
  if (argc < 2) return std::fprintf(stderr, "floor_bench MODEL [threads]\n"), 2;
  const auto file = model_files::GgufFile::Open(argv[1]);
  if (!file.ok()) return std::fprintf(stderr, "%s\n", std::string(file.status().message()).c_str()), 2;
  const auto config = model::ReadModelConfig(**file);
  if (!config.ok()) return std::fprintf(stderr, "%s\n", std::string(config.status().message()).c_str()), 2;
  double weight_bytes = 0, layer_operations = 0, head_operations = 0;
  for (const auto& tensor : (*file)->tensors()) {
    const bool head = tensor.name == (config->tied_embedding ? "token_embd.weight" : "output.weight");
    if (tensor.name == "token_embd.weight" && !head) continue;  // one row a token
    weight_bytes += static_cast<double>(tensor.data.size());
    if (tensor.rows() > 1)
      (head ? head_operations : layer_operations) +=
          2.0 * static_cast<double>(tensor.columns()) * static_cast<double>(tensor.rows());
  }
  const bench::Ceilings c = bench::MeasureCeilings(argc > 2 ? std::stoi(argv[2]) : 2);
  const nlohmann::ordered_json out = {
      {"cpu", c.cpu},
      {"threads", c.threads},
      {"read_gb_per_s", c.read_gb_per_s},
      {"int8_gop_per_s", c.int8_gop_per_s},
      {"int8_instruction", c.int8_instruction},
      {"float_gflop_per_s", c.float_gflop_per_s},
      {"weight_bytes", weight_bytes},
      {"layer_operations_per_token", layer_operations},
      {"head_operations", head_operations},
      {"kv_bytes_per_position", 4.0 * config->layers * config->kv_heads * config->head_dim},
      {"attention_operations_per_position", 4.0 * config->layers * config->query_heads * config->head_dim}};
  std::printf("%s\n", out.dump(1).c_str());
}
