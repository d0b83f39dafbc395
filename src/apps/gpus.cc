// SPDX-License-Identifier: Apache-2.0
#include "apps/gpus.h"

#include <cstdio>

#include "platform/base/str_cat.h"

namespace tokenworks::apps {
namespace {

StatusOr<model::CudaDevices> Devices() {
  TW_ASSIGN_OR_RETURN(const model::CudaLibrary library, model::CudaLibrary::Open());
  return library.Devices();
}

// Where the workers of a cluster that no file describes run.
void SayGpus(const launch::ClusterConfig& config, const launch::HostGpus& gpus) {
  if (!launch::WantsGpu(config)) {
    if (!gpus.status.ok() && !absl::IsNotFound(gpus.status))
      std::fprintf(stderr, "the GPU is not used, the workers run on the CPU: %s\n",
                   std::string(gpus.status.message()).c_str());
    return;
  }
  std::string places;
  for (const launch::PlannedWorker& w : launch::PlanWorkers(config, gpus.usable.size())) {
    if (w.gpu < 0 || gpus.usable.empty()) continue;
    const launch::HostGpu& gpu = gpus.usable[w.gpu];
    places += base::StrCat(places.empty() ? "" : ", ", w.id, " on cuda:", gpu.index, " (", gpu.name, ")");
  }
  if (places.empty()) return;  // a finding says why
  std::fprintf(stderr,
               "%s, as configs/clusters/local-gpu.yaml says; `tokenworks up configs/clusters/local.yaml` stays on the "
               "CPU\n",
               places.c_str());
}

}  // namespace

launch::HostGpus ProbeGpus() {
  launch::HostGpus out;
  auto devices = Devices();
  out.status = devices.status();
  if (!devices.ok()) return out;
  for (const model::CudaDevice& d : devices->usable)
    out.usable.push_back({d.index, d.uuid, d.name, d.free_bytes, d.context_bytes});
  out.unusable = std::move(devices->unusable);
  return out;
}

StatusOr<launch::ClusterConfig> LoadCluster(const ClusterOptions& options, launch::HostGpus* gpus) {
  if (options.file.empty()) *gpus = ProbeGpus();
  TW_ASSIGN_OR_RETURN(
      const launch::ClusterConfig config,
      options.Load(gpus->usable.empty() ? launch::ClusterConfig() : launch::LocalGpuConfig(gpus->usable.size())));
  if (options.file.empty())
    SayGpus(config, *gpus);
  else if (launch::WantsGpu(config))
    *gpus = ProbeGpus();
  return config;
}

StatusOr<std::optional<model::CudaDevice>> GpuOf(const launch::PoolConfig& pool, const std::string& uuid) {
  if (pool.device != "cuda") return std::nullopt;
  TW_ASSIGN_OR_RETURN(const model::CudaLibrary library, model::CudaLibrary::Open());
  if (!uuid.empty()) return library.Find(uuid);
  TW_ASSIGN_OR_RETURN(const model::CudaDevices devices, library.Devices());
  return devices.usable.front();
}

}  // namespace tokenworks::apps
