// SPDX-License-Identifier: Apache-2.0
// Pack and unpack: the same run of bytes of many pool blocks <-> one contiguous message.
#pragma once

#include "kernels/simt/bf16.h"
#include "kernels/simt/launch.h"

namespace tokenworks::kernels {

// Run i of the message belongs to block blocks[i]: pool + blocks[i] * block_bytes + offset_bytes, run_bytes long.
// One run is a layer group of a block. All byte counts are multiples of 16.
struct KvBlockCopyArgs {
  unsigned char* pool = nullptr;
  unsigned char* message = nullptr;  // [count][run_bytes], device or mapped host memory
  const int32_t* blocks = nullptr;   // [count]
  int count = 0;
  int64_t block_bytes = 0, offset_bytes = 0, run_bytes = 0;
  int ctas = 8;  // thread blocks: few leave the other multiprocessors to the model (8 reach ~300 GB/s)
};

void PackKvBlocks(const LaunchContext& context, const KvBlockCopyArgs& args);    // pool -> message
void UnpackKvBlocks(const LaunchContext& context, const KvBlockCopyArgs& args);  // message -> pool
void PackKvBlocksReference(const KvBlockCopyArgs& args);                         // host memory
void UnpackKvBlocksReference(const KvBlockCopyArgs& args);

}  // namespace tokenworks::kernels
