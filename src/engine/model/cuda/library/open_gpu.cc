// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/library/open_device.h"

namespace tokenworks::model::cuda {

StatusOr<std::unique_ptr<device::Device>> OpenDevice(int index, const std::string& tuning_folder) {
  return device::OpenCudaDevice(index, tuning_folder);
}

StatusOr<device::DeviceInfo> IdentifyDevice(int index) { return device::IdentifyCudaDevice(index); }

void ReleaseDevices() { device::ReleaseCudaDevice(); }

}  // namespace tokenworks::model::cuda
