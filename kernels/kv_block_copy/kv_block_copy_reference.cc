// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "kernels/kv_block_copy/kv_block_copy.h"

namespace tokenworks::kernels {

void PackKvBlocksReference(const KvBlockCopyArgs& a) {
  for (int i = 0; i < a.count; ++i)
    std::memcpy(a.message + i * a.run_bytes, a.pool + a.blocks[i] * a.block_bytes + a.offset_bytes, a.run_bytes);
}

void UnpackKvBlocksReference(const KvBlockCopyArgs& a) {
  for (int i = 0; i < a.count; ++i)
    std::memcpy(a.pool + a.blocks[i] * a.block_bytes + a.offset_bytes, a.message + i * a.run_bytes, a.run_bytes);
}

}  // namespace tokenworks::kernels
