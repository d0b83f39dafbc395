// SPDX-License-Identifier: Apache-2.0
// A scripted management library in the place of the driver's.
#include "platform/nvml/nvml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "platform/nvml/gpu_monitor.h"

namespace tokenworks::nvml {
namespace {

using testing::HasSubstr;

constexpr int kNotSupported = 3, kNotFound = 6;
int device_of_ours;
std::atomic<int> reads = 0;
std::mutex mutex;
std::condition_variable read;

Api Scripted() {
  Api api;
  api.Init_v2 = [] { return 0; };
  api.DeviceGetHandleByUUID = [](const char* uuid, void** device) {
    *device = &device_of_ours;
    return std::strcmp(uuid, "GPU-1") == 0 ? 0 : kNotFound;
  };
  api.DeviceGetMemoryInfo = [](void* device, Api::Memory* m) {
    *m = {1000, 400, 600};
    return device == &device_of_ours ? 0 : kNotFound;
  };
  api.DeviceGetUtilizationRates = [](void*, Api::Utilization* u) { return *u = {75, 10}, 0; };
  api.DeviceGetPowerUsage = [](void*, unsigned int* mw) { return *mw = 410'500, 0; };
  api.DeviceGetTotalEnergyConsumption = [](void*, unsigned long long* mj) {
    std::lock_guard lock(mutex);
    *mj = 1'000'000ull * static_cast<unsigned long long>(++reads);
    read.notify_all();
    return 0;
  };
  return api;
}

TEST(Nvml, ReadsEveryValueInItsUnit) {
  const auto gpu = Gpu::Open(Scripted(), "GPU-1");
  ASSERT_TRUE(gpu.ok()) << gpu.status();
  reads = 0;
  const GpuReading r = gpu->Read();
  EXPECT_EQ(r, (GpuReading{0.75, 410.5, 1000.0, 600, 1000}));
}

TEST(Nvml, WhatCannotBeReadIsAbsent) {
  Api api = Scripted();
  api.DeviceGetPowerUsage = [](void*, unsigned int*) { return kNotSupported; };
  api.DeviceGetTotalEnergyConsumption = nullptr;
  const GpuReading r = Gpu::Open(api, "GPU-1")->Read();
  EXPECT_FALSE(r.power_watts.has_value());
  EXPECT_FALSE(r.energy_joules.has_value());
  EXPECT_TRUE(r.utilization.has_value());
}

TEST(Nvml, SaysWhyThereIsNoDevice) {
  EXPECT_EQ(Gpu::Open(Scripted(), "GPU-2").status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Gpu::Open(Scripted(), "GPU-2").status().message(), HasSubstr("no device GPU-2"));
  Api broken = Scripted();
  broken.Init_v2 = [] { return 9; };
  EXPECT_THAT(Gpu::Open(broken, "GPU-1").status().message(), HasSubstr("error 9"));
  EXPECT_EQ(Gpu::Open(Api(), "GPU-1").status().code(), StatusCode::kUnavailable);
}

TEST(GpuMonitor, KeepsTheLatestReading) {
  reads = 0;
  GpuMonitor monitor(*Gpu::Open(Scripted(), "GPU-1"), std::chrono::nanoseconds(1));
  std::unique_lock lock(mutex);
  read.wait(lock, [] { return reads >= 3; });
  lock.unlock();
  EXPECT_GE(monitor.Latest().energy_joules.value_or(0), 2000.0) << "the reading before the one under way";
}

TEST(GpuMonitor, EndsWithoutWaitingForItsNextReading) {
  GpuMonitor monitor(*Gpu::Open(Scripted(), "GPU-1"), std::chrono::hours(1));
}

}  // namespace
}  // namespace tokenworks::nvml
