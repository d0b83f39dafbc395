// SPDX-License-Identifier: Apache-2.0
// Which device a build of the library opens: a GPU, or the host (tests).
#pragma once

#include <memory>

#include "platform/device/device.h"

namespace tokenworks::model::cuda {

StatusOr<std::unique_ptr<device::Device>> OpenDevice(int index);

}  // namespace tokenworks::model::cuda
