// SPDX-License-Identifier: Apache-2.0
// Counter-based noise: Philox4x32-10 (Salmon et al., SC 2011), keyed so that a draw depends on nothing but its name.
#pragma once

#include <array>
#include <cstdint>

namespace tokenworks::sampling {

inline std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * counter[0], b = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// Uniform in (0, 1) for one output position of one sequence of a request.
inline double Uniform(uint64_t seed, uint32_t sequence, uint32_t position) {
  const auto x = Philox({position, sequence, 0, 0}, {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const uint64_t bits = (uint64_t{x[0]} << 21) ^ (x[1] >> 11);
  return (static_cast<double>(bits & ((uint64_t{1} << 53) - 1)) + 0.5) * 0x1p-53;
}

}  // namespace tokenworks::sampling
