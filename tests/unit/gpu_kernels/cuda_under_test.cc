// SPDX-License-Identifier: Apache-2.0
#include "device_fixture.h"

namespace tokenworks::kernels::testing {

device::Device* DeviceUnderTest() {
  static const StatusOr<std::unique_ptr<device::Device>> device = device::OpenCudaDevice(0);
  return device.ok() ? device->get() : nullptr;
}

void ShuffleFibers(uint64_t) {}

}  // namespace tokenworks::kernels::testing
