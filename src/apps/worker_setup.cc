// SPDX-License-Identifier: Apache-2.0
#include "apps/worker_setup.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <thread>

#include "engine/model/cpu/cpu_executor.h"
#include "launch/run_folder.h"
#include "platform/base/str_cat.h"
#include "platform/nvml/gpu_monitor.h"

namespace tokenworks::apps {

namespace {

// Rows of the largest step: what the executor's buffers are made for. On a GPU a step of prompts alone has 1,024, where
// products reach their full rate (measured on an H200).
int StepRows(const launch::ClusterConfig& config, const launch::PoolConfig& pool) {
  return std::max(pool.device == "cuda" ? 1024 : 512, config.chunk_tokens);
}

}  // namespace

const launch::PoolConfig& PoolOf(const launch::ClusterConfig& config, WorkerRole role) {
  return role == WorkerRole::kPrefill ? config.prefill : role == WorkerRole::kDecode ? config.decode : config.mixed;
}

StatusOr<WorkerRole> ParseRole(const std::string& name) {
  for (const WorkerRole role : {WorkerRole::kPrefill, WorkerRole::kDecode, WorkerRole::kMixed, WorkerRole::kParked})
    if (name == WorkerRoleName(role)) return role;
  return absl::InvalidArgumentError(base::StrCat("'", name, "' is no role: prefill, decode, mixed or parked"));
}

namespace {

StatusOr<std::unique_ptr<Executor>> MakeCudaExecutor(const launch::ClusterConfig& config,
                                                     const launch::PoolConfig& pool, const model::CudaDevice& gpu) {
  TW_ASSIGN_OR_RETURN(const model::CudaLibrary library, model::CudaLibrary::Open());
  return library.CreateExecutor(CudaOptionsOf(config, pool, gpu.index));
}

}  // namespace

model::CudaOptions CudaOptionsOf(const launch::ClusterConfig& config, const launch::PoolConfig& pool, int device) {
  return {.model_path = config.model,
          .model_name = config.model_name,
          .device = device,
          .kv_bytes = pool.kv_memory,
          .context_length = config.context_length,
          .rows_max = StepRows(config, pool),
          .samples_max = worker::WorkerOptions().running_max,
          .tuning_folder = launch::HomeFolder() + "/gpu"};
}

StatusOr<std::unique_ptr<Executor>> MakeExecutor(const launch::ClusterConfig& config, const launch::PoolConfig& pool,
                                                 const std::optional<model::CudaDevice>& gpu) {
  if (gpu) return MakeCudaExecutor(config, pool, *gpu);
  const int workers = config.prefill.replicas + config.decode.replicas + config.mixed.replicas;
  const int cpus = std::max(1u, std::thread::hardware_concurrency());
  model::cpu::CpuExecutorOptions options;
  options.model_path = config.model;
  options.model_name = config.model_name;
  options.threads = pool.threads > 0 ? pool.threads : std::max(1, cpus / std::max(1, workers));
  options.kv_bytes = pool.kv_memory;
  options.context_length = config.context_length;
  options.kernels = config.kernels;
  TW_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor, model::cpu::CpuExecutor::Create(options));
  return executor;
}

namespace {

// Null where the management library says nothing.
std::shared_ptr<nvml::GpuMonitor> MakeGpuMonitor(const std::string& uuid) {
  const auto open = [&]() -> StatusOr<nvml::Gpu> {
    TW_ASSIGN_OR_RETURN(const nvml::Api api, nvml::OpenApi());
    return nvml::Gpu::Open(api, uuid);
  };
  const StatusOr<nvml::Gpu> gpu = open();
  if (gpu.ok()) return std::make_shared<nvml::GpuMonitor>(*gpu);
  std::fprintf(stderr, "no GPU metrics: %s\n", std::string(gpu.status().message()).c_str());
  return nullptr;
}

}  // namespace

worker::WorkerOptions MakeWorkerOptions(const launch::ClusterConfig& config, const std::string& id, WorkerRole role,
                                        const std::string& peer_socket, const std::optional<model::CudaDevice>& gpu) {
  worker::WorkerOptions options;
  options.id = id;
  options.role = role;
  options.peer_socket_path = peer_socket;
  options.model = config.model_name;
  if (const auto monitor = gpu ? MakeGpuMonitor(gpu->uuid) : nullptr)
    options.read_gpu = [monitor] { return monitor->Latest(); };
  options.handoff.checksums = config.checksum;
  options.handoff.staging_bytes = config.ring_bytes;
  options.handoff.fault.flips = config.test_flip_bits;
  options.chunk_tokens_max = config.chunk_tokens;
  options.step_rows_max = StepRows(config, PoolOf(config, role));
  options.step_target = std::chrono::microseconds(static_cast<int64_t>(config.step_target_ms * 1000));
  options.prefix_cache = config.prefix_cache;
  if (!config.step_log.empty()) options.step_log_path = config.step_log + "-" + id + ".jsonl";
  return options;
}

void EndWhenLost(worker::WorkerOptions& options, LostDevice& lost) {
  options.on_lost = [&lost, id = options.id](const Status& status) {
    lost.status =
        absl::DataLossError(base::StrCat("worker ", id, " ends: its device is lost: ", std::string(status.message())));
    kill(getpid(), SIGTERM);
  };
}

}  // namespace tokenworks::apps
