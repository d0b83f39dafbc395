// SPDX-License-Identifier: Apache-2.0
// Counter-based noise: Philox4x32-10 (Salmon et al., SC 2011); the same draws as engine/sampling/noise.h.
#pragma once

#include "kernels/simt/bf16.h"

namespace tokenworks::kernels {

// Uniform in (0, 1) for one output position of one sequence of a request.
TW_HD double KeyedUniform(uint64_t seed, uint32_t sequence, uint32_t position) {
  uint32_t counter[4] = {position, sequence, 0, 0};
  uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * counter[0], b = uint64_t{0xCD9E8D57u} * counter[2];
    const uint32_t c1 = counter[1], c3 = counter[3];
    counter[0] = static_cast<uint32_t>(b >> 32) ^ c1 ^ key[0];
    counter[1] = static_cast<uint32_t>(b);
    counter[2] = static_cast<uint32_t>(a >> 32) ^ c3 ^ key[1];
    counter[3] = static_cast<uint32_t>(a);
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  const uint64_t bits = (uint64_t{counter[0]} << 21) ^ (counter[1] >> 11);
  return (static_cast<double>(bits & ((uint64_t{1} << 53) - 1)) + 0.5) * 0x1p-53;
}

}  // namespace tokenworks::kernels
