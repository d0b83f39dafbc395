// SPDX-License-Identifier: Apache-2.0
// What a GPU says of itself by NVIDIA's management library, opened with dlopen.
#pragma once

#include <string>

#include "tokenworks/gpu_reading.h"
#include "tokenworks/status.h"

namespace tokenworks::nvml {

// The functions used, by the library's names without the prefix; null where the library has none. All return 0 when
// they did what they say. Tests fill it with their own.
struct Api {
  struct Memory {
    unsigned long long total, free, used;  // bytes
  };
  struct Utilization {
    unsigned int gpu, memory;  // percent of the last sampling period
  };
  int (*Init_v2)() = nullptr;
  int (*DeviceGetHandleByUUID)(const char* uuid, void** device) = nullptr;
  int (*DeviceGetMemoryInfo)(void* device, Memory*) = nullptr;
  int (*DeviceGetUtilizationRates)(void* device, Utilization*) = nullptr;
  int (*DeviceGetPowerUsage)(void* device, unsigned int* milliwatts) = nullptr;
  int (*DeviceGetTotalEnergyConsumption)(void* device, unsigned long long* millijoules) = nullptr;
};

// NotFound without the library (no driver). Stays open as long as the process.
StatusOr<Api> OpenApi();

// One device. Thread: one at a time; a call takes 2 to 16 ms.
class Gpu {
 public:
  // By UUID ("GPU-…"), never by index: indices are renumbered by environment variables. NotFound when the driver knows
  // no such device, Unavailable when it cannot be asked.
  static StatusOr<Gpu> Open(const Api& api, const std::string& uuid);
  GpuReading Read() const;

 private:
  Gpu(const Api& api, void* device) : api_(api), device_(device) {}
  Api api_;
  void* device_;
};

}  // namespace tokenworks::nvml
