// SPDX-License-Identifier: Apache-2.0
#include "device_fixture.h"
#include "kernels/simt/fiber.h"

namespace tokenworks::kernels::testing {

device::Device* DeviceUnderTest() {
  static const std::unique_ptr<device::Device> device = device::OpenHostDevice();
  return device.get();
}

void ShuffleFibers(uint64_t seed) { simt::SetSeed(seed); }

}  // namespace tokenworks::kernels::testing
