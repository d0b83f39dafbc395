// SPDX-License-Identifier: Apache-2.0
// An unaligned little-endian 16-bit word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tokenworks::kernels {

inline uint16_t Load16(const std::byte* p) {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return v;
}

}  // namespace tokenworks::kernels
