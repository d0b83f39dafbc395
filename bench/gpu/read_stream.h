// SPDX-License-Identifier: Apache-2.0
// The read ceiling: a kernel that only reads.
#pragma once

#include <cstddef>

#include "kernels/simt/launch.h"

namespace tokenworks::bench {

// Reads `bytes` (a multiple of 64 KiB) of device memory once and writes one word a thread block to `sink` (>= 4 *
// blocks).
void ReadStream(const kernels::LaunchContext& context, const void* data, size_t bytes, unsigned* sink, int blocks);

}  // namespace tokenworks::bench
