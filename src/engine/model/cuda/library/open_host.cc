// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "engine/model/cuda/library/open_device.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model::cuda {

// What TOKENWORKS_HOST_LACKS says is missing of the matrix library.
StatusOr<std::unique_ptr<device::Device>> OpenDevice(int index, const std::string&) {
  if (index != 0) return absl::NotFoundError(base::StrCat("no device ", index, ": the host is device 0"));
  const char* lacks = std::getenv("TOKENWORKS_HOST_LACKS");
  return device::OpenHostDevice(lacks ? absl::NotFoundError(lacks) : OkStatus());
}

void ReleaseDevices() {}

}  // namespace tokenworks::model::cuda
