// SPDX-License-Identifier: Apache-2.0
#include "platform/base/wake_event.h"

#include <sys/eventfd.h>

#include <cstdint>
#include <cstdlib>

namespace tokenworks::base {

WakeEvent::WakeEvent() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!fd_.valid()) std::abort();  // out of descriptors at start
}

void WakeEvent::Ring() {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = write(fd_.get(), &one, sizeof one);
}

void WakeEvent::Clear() {
  uint64_t count;
  [[maybe_unused]] const auto got = read(fd_.get(), &count, sizeof count);
}

}  // namespace tokenworks::base
