// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/library/open_device.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model::cuda {

StatusOr<std::unique_ptr<device::Device>> OpenDevice(int index) {
  if (index != 0) return absl::NotFoundError(base::StrCat("no device ", index, ": the host is device 0"));
  return device::OpenHostDevice();
}

void ReleaseDevices() {}

}  // namespace tokenworks::model::cuda
