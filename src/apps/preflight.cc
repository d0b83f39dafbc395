// SPDX-License-Identifier: Apache-2.0
#include "apps/preflight.h"

#include <algorithm>

#include "apps/text_setup.h"
#include "apps/worker_setup.h"
#include "engine/model/cpu/cpu_executor.h"
#include "engine/model/model_config.h"
#include "kernels/kernel_set.h"
#include "launch/preflight/machine.h"
#include "model_files/gguf.h"
#include "platform/base/str_cat.h"
#include "tokenworks/kv_layout.h"

namespace tokenworks::apps {
namespace {

Status ReadModel(const std::string& path, launch::ModelFacts* facts) {
  facts->path = path;
  TW_ASSIGN_OR_RETURN(const auto file, model_files::GgufFile::Open(path));
  TW_ASSIGN_OR_RETURN(const model::ModelConfig config, model::ReadModelConfig(*file));
  TW_ASSIGN_OR_RETURN(const auto tokenizer, LoadTokenizer(*file));
  TW_RETURN_IF_ERROR(LoadChatTemplate(*file, *tokenizer).status());
  facts->name = config.name;
  facts->context_length = config.context_length;
  for (const auto& tensor : file->tensors()) {
    facts->weight_bytes += tensor.data.size();
    facts->gpu_weight_bytes += 2 * tensor.columns() * tensor.rows();
  }
  facts->kv_block_bytes = uint64_t{2} * static_cast<uint64_t>(config.layers) * static_cast<uint64_t>(config.kv_heads) *
                          static_cast<uint64_t>(config.head_dim) * kBlockTokens * KvDtypeBytes(KvDtype::kF16);
  return OkStatus();
}

// The most that a worker of any pool takes beside weights, context and KV; 0 where none is on a GPU.
StatusOr<uint64_t> GpuWorkspace(const launch::ClusterConfig& config, const std::string& model_path,
                                const launch::HostGpus& gpus) {
  if (!launch::WantsGpu(config) || gpus.usable.empty()) return 0;
  TW_ASSIGN_OR_RETURN(const model::CudaLibrary library, model::CudaLibrary::Open());
  uint64_t most = 0;
  for (const launch::PlannedWorker& w : launch::PlanWorkers(config, gpus.usable.size())) {
    if (w.gpu < 0) continue;
    model::CudaOptions options = CudaOptionsOf(config, *w.pool, gpus.usable[w.gpu].index);
    options.model_path = model_path;
    TW_ASSIGN_OR_RETURN(const uint64_t bytes, library.WorkspaceBytes(options));
    most = std::max(most, bytes);
  }
  return most;
}

}  // namespace

std::vector<launch::Finding> Preflight(const launch::ClusterConfig& config, const StatusOr<std::string>& model_path,
                                       const launch::HostGpus& gpus, const std::string& run_folder) {
  launch::Facts facts;
  facts.machine = launch::ProbeMachine(config, run_folder);
  facts.machine.kv_default_bytes = model::cpu::DefaultKvBytes();
  if (const kernels::KernelSet* set = kernels::SelectKernels(config.kernels))
    facts.machine.kernels = std::string(set->name);
  else
    facts.machine.kernels_problem = base::StrCat(
        "engine.kernels '", config.kernels,
        "' (or TOKENWORKS_KERNELS) is unknown or not for this CPU; use scalar, avx2 or avx512vnni, or leave it empty");
  facts.model.status = model_path.ok() ? ReadModel(*model_path, &facts.model) : model_path.status();
  if (facts.model.status.ok()) {
    const StatusOr<uint64_t> workspace = GpuWorkspace(config, *model_path, gpus);
    facts.model.status = workspace.status();
    facts.model.gpu_workspace_bytes = workspace.value_or(0);
  }
  facts.ports = {launch::ProbePort("http", config.http_host, config.http_port),
                 launch::ProbePort("grpc", config.grpc_host, config.grpc_port)};
  facts.gpus = gpus;
  return launch::Examine(config, facts);
}

}  // namespace tokenworks::apps
