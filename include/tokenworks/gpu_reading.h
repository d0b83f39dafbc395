// SPDX-License-Identifier: Apache-2.0
// What a GPU was doing at one moment. A value that could not be read is absent, never 0.
#pragma once

#include <cstdint>
#include <optional>

namespace tokenworks {

struct GpuReading {
  std::optional<double> utilization;    // 0 .. 1
  std::optional<double> power_watts;    // lags by about a second
  std::optional<double> energy_joules;  // counter since the driver was loaded; differences are what counts
  std::optional<uint64_t> memory_used, memory_total;  // bytes, of all processes
  bool operator==(const GpuReading&) const = default;
};

}  // namespace tokenworks
