// SPDX-License-Identifier: Apache-2.0
// A card, its table and how algorithms of tests look.
#pragma once

#include "platform/device/algorithm_table.h"

namespace tokenworks::device {

inline TableSubject Card() { return {.card = "NVIDIA H200", .compute_capability = 90, .library_version = 130100}; }

inline TunedAlgorithm Algorithm(uint8_t seed, double microseconds = 8.25) {
  TunedAlgorithm a;
  for (size_t i = 0; i < a.bytes.size(); ++i) a.bytes[i] = static_cast<uint8_t>(seed + 7 * i);
  a.microseconds = microseconds;
  return a;
}

inline AlgorithmTable SmallTable() {
  return {{{.rows = 4, .outputs = 6144, .inputs = 4096}, Algorithm(1)},
          {{.rows = 4, .outputs = 128256, .inputs = 4096, .float_result = true}, Algorithm(2, 251.5)},
          {{.rows = 256, .outputs = 4096, .inputs = 4096, .accumulate = true}, Algorithm(3, 30.125)}};
}

}  // namespace tokenworks::device
