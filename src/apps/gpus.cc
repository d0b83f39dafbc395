// SPDX-License-Identifier: Apache-2.0
#include "apps/gpus.h"

namespace tokenworks::apps {
namespace {

// Of a process on a GPU: context, graphs, the matrix library's workspace (527 MiB measured on an H200).
constexpr uint64_t kContextBytes = uint64_t{768} << 20;

StatusOr<model::CudaDevices> Devices() {
  TW_ASSIGN_OR_RETURN(const model::CudaLibrary library, model::CudaLibrary::Open());
  return library.Devices();
}

}  // namespace

launch::HostGpus ProbeGpus() {
  launch::HostGpus out;
  auto devices = Devices();
  out.status = devices.status();
  if (!devices.ok()) return out;
  for (const model::CudaDevice& d : devices->usable)
    out.usable.push_back({d.index, d.uuid, d.name, d.free_bytes, d.compute_capability == 0 ? 0 : kContextBytes});
  out.unusable = std::move(devices->unusable);
  return out;
}

StatusOr<launch::ClusterConfig> LoadCluster(const ClusterOptions& options, launch::HostGpus* gpus) {
  if (options.file.empty()) *gpus = ProbeGpus();
  TW_ASSIGN_OR_RETURN(
      const launch::ClusterConfig config,
      options.Load(gpus->usable.empty() ? launch::ClusterConfig() : launch::LocalGpuConfig(gpus->usable.size())));
  if (!options.file.empty() && launch::WantsGpu(config)) *gpus = ProbeGpus();
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
