// SPDX-License-Identifier: Apache-2.0
// What every kernel test stands on: a device (fibers on the host, or a GPU), random tensors, and the error norm.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/simt/launch.h"
#include "platform/device/buffer.h"

namespace tokenworks::kernels::testing {

// The device of this binary; null when there is none (then tests are skipped). Defined in host_under_test.cc and
// cuda_under_test.cc.
device::Device* DeviceUnderTest();
// The order in which fibers run from now on; nothing on a GPU.
void ShuffleFibers(uint64_t seed);

class DeviceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!DeviceUnderTest()) GTEST_SKIP() << "no device";
    ShuffleFibers(++seed_);
    random_.seed(seed_);
  }

  std::vector<Bf16> RandomBf16(size_t n, float spread = 1.0f) {
    std::normal_distribution<float> normal(0, spread);
    std::vector<Bf16> v(n);
    for (Bf16& x : v) x = ToBf16(normal(random_));
    return v;
  }
  std::vector<float> RandomFloat(size_t n, float mean = 0, float spread = 1.0f) {
    std::normal_distribution<float> normal(mean, spread);
    std::vector<float> v(n);
    for (float& x : v) x = normal(random_);
    return v;
  }
  int RandomInt(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  template <class T>
  device::Buffer<T> Upload(const std::vector<T>& v) {
    auto b = device::Buffer<T>::Create(*DeviceUnderTest(), v.size() + 1);
    if (!b.ok()) throw std::runtime_error(std::string(b.status().message()));
    Check(b->Upload(v, {}));
    return std::move(*b);
  }
  // Poisoned: every bit set, NaN in each float type.
  template <class T>
  device::Buffer<T> Output(size_t n) {
    std::vector<T> v(n);
    if (n > 0) std::memset(static_cast<void*>(v.data()), 0xff, n * sizeof(T));
    return Upload(v);
  }
  template <class T>
  std::vector<T> Download(const device::Buffer<T>& b) {
    std::vector<T> v(b.size() - 1);
    Check(b.Download(v, {}));
    return v;
  }
  static void Check(const Status& s) { ASSERT_TRUE(s.ok()) << s.message(); }

  LaunchContext context_;
  std::mt19937_64 random_;

 private:
  static inline uint64_t seed_ = 0;
};

// ||out - expected|| / ||expected||; infinite if anything is not a number.
inline double RelativeError(const std::vector<Bf16>& out, const std::vector<Bf16>& expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double d = double{ToFloat(out[i])} - ToFloat(expected[i]);
    if (!std::isfinite(d)) return INFINITY;
    difference += d * d;
    norm += double{ToFloat(expected[i])} * ToFloat(expected[i]);
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

inline bool SameBits(const std::vector<Bf16>& a, const std::vector<Bf16>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Bf16)) == 0;
}

}  // namespace tokenworks::kernels::testing
