// SPDX-License-Identifier: Apache-2.0
// The host as a device or, for tests of several, as TOKENWORKS_HOST_DEVICES of them.
#include <cstdlib>

#include "engine/model/cuda/library/open_device.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model::cuda {

// TOKENWORKS_HOST_LACKS says what is missing of the matrix library; with TOKENWORKS_HOST_LATE nothing starts before
// somebody waits for it; after TOKENWORKS_HOST_FAULTS_AFTER steps it has faulted.
StatusOr<std::unique_ptr<device::Device>> OpenDevice(int index, const std::string&) {
  const char *const said = std::getenv("TOKENWORKS_HOST_DEVICES"), *const lacks = std::getenv("TOKENWORKS_HOST_LACKS"),
                    *const faults = std::getenv("TOKENWORKS_HOST_FAULTS_AFTER");
  const int count = said == nullptr ? 1 : std::atoi(said);
  if (index >= count)
    return absl::NotFoundError(
        base::StrCat("no device ", index, ": the host stands for ", count, " (TOKENWORKS_HOST_DEVICES)"));
  return device::OpenHostDevice({.index = index,
                                 .matrix_library = lacks ? absl::NotFoundError(lacks) : OkStatus(),
                                 .late = std::getenv("TOKENWORKS_HOST_LATE") != nullptr,
                                 .faults_after = faults == nullptr ? 0 : std::atoi(faults)});
}

StatusOr<device::DeviceInfo> IdentifyDevice(int index) {
  TW_ASSIGN_OR_RETURN(const auto device, OpenDevice(index));
  return device->info();
}

void ReleaseDevices() {}

}  // namespace tokenworks::model::cuda
