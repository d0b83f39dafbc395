// SPDX-License-Identifier: Apache-2.0
// Which device a build of the library opens: a GPU, or the host (tests).
#pragma once

#include <memory>

#include "platform/device/device.h"

namespace tokenworks::model::cuda {

// `tuning_folder` as in OpenCudaDevice.
StatusOr<std::unique_ptr<device::Device>> OpenDevice(int index, const std::string& tuning_folder = "");
// Its name, UUID, multiprocessors and compute capability, holding nothing of it.
StatusOr<device::DeviceInfo> IdentifyDevice(int index);
// Gives back what this process holds of the device that this thread opened last (a context is half a GiB); nothing of
// it may be in use.
void ReleaseDevices();

}  // namespace tokenworks::model::cuda
