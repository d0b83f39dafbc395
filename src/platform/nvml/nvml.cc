// SPDX-License-Identifier: Apache-2.0
#include "platform/nvml/nvml.h"

#include <dlfcn.h>

#include "platform/base/str_cat.h"

namespace tokenworks::nvml {

using base::StrCat;

StatusOr<Api> OpenApi() {
  void* const library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return absl::NotFoundError(StrCat("opening the GPU's management library: ", dlerror()));
  Api api;
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
  };
  find("nvmlInit_v2", api.Init_v2);
  find("nvmlDeviceGetHandleByUUID", api.DeviceGetHandleByUUID);
  find("nvmlDeviceGetMemoryInfo", api.DeviceGetMemoryInfo);
  find("nvmlDeviceGetUtilizationRates", api.DeviceGetUtilizationRates);
  find("nvmlDeviceGetPowerUsage", api.DeviceGetPowerUsage);
  find("nvmlDeviceGetTotalEnergyConsumption", api.DeviceGetTotalEnergyConsumption);
  return api;
}

StatusOr<Gpu> Gpu::Open(const Api& api, const std::string& uuid) {
  if (api.Init_v2 == nullptr || api.DeviceGetHandleByUUID == nullptr)
    return absl::UnavailableError("the GPU's management library lacks nvmlInit_v2 or nvmlDeviceGetHandleByUUID");
  if (const int code = api.Init_v2(); code != 0)
    return absl::UnavailableError(StrCat("starting the GPU's management library: error ", code));
  void* device = nullptr;
  if (const int code = api.DeviceGetHandleByUUID(uuid.c_str(), &device); code != 0)
    return absl::NotFoundError(StrCat("the management library knows no device ", uuid, ": error ", code));
  return Gpu(api, device);
}

GpuReading Gpu::Read() const {
  GpuReading out;
  if (Api::Memory m; api_.DeviceGetMemoryInfo != nullptr && api_.DeviceGetMemoryInfo(device_, &m) == 0)
    out.memory_used = m.used, out.memory_total = m.total;
  if (Api::Utilization u; api_.DeviceGetUtilizationRates != nullptr && api_.DeviceGetUtilizationRates(device_, &u) == 0)
    out.utilization = u.gpu / 100.0;
  if (unsigned int mw; api_.DeviceGetPowerUsage != nullptr && api_.DeviceGetPowerUsage(device_, &mw) == 0)
    out.power_watts = mw / 1e3;
  if (unsigned long long mj;
      api_.DeviceGetTotalEnergyConsumption != nullptr && api_.DeviceGetTotalEnergyConsumption(device_, &mj) == 0)
    out.energy_joules = static_cast<double>(mj) / 1e3;
  return out;
}

}  // namespace tokenworks::nvml
