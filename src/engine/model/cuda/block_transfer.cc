// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/block_transfer.h"

#include <algorithm>

#include "kernels/kv_block_copy/kv_block_copy.h"

namespace tokenworks::model::cuda {

using kernels::KvBlockCopyArgs;

namespace {
constexpr size_t kBlocksAtOnce = 1024;
}  // namespace

StatusOr<std::unique_ptr<BlockTransfer>> BlockTransfer::Create(const KvLayout& layout, std::byte* pool,
                                                               device::Device& device) {
  std::unique_ptr<BlockTransfer> t(new BlockTransfer(layout, pool, device));
  TW_ASSIGN_OR_RETURN(t->stream_, device.CreateStream());
  TW_ASSIGN_OR_RETURN(t->message_,
                      device::Buffer<std::byte>::Create(device, std::max<size_t>(kMessageBytes, layout.block_bytes)));
  TW_ASSIGN_OR_RETURN(t->blocks_, device::Pinned<BlockId>::Create(device, kBlocksAtOnce));
  return t;
}

template <class Part>
Status BlockTransfer::InParts(std::span<const BlockId> blocks, int first_layer, int layers, const Part& part) {
  const size_t run = layout_.layers[first_layer].bytes * layers;
  const size_t at_once = std::min(kBlocksAtOnce, message_.size() / run);
  for (size_t first = 0; first < blocks.size(); first += at_once) {
    const auto some = blocks.subspan(first, std::min(at_once, blocks.size() - first));
    std::copy(some.begin(), some.end(), blocks_.data());
    TW_RETURN_IF_ERROR(part(some, first * run,
                            KvBlockCopyArgs{.pool = reinterpret_cast<unsigned char*>(pool_),
                                            .message = reinterpret_cast<unsigned char*>(message_.data()),
                                            .blocks = blocks_.data(),
                                            .count = static_cast<int>(some.size()),
                                            .block_bytes = static_cast<int64_t>(layout_.block_bytes),
                                            .offset_bytes = static_cast<int64_t>(layout_.layers[first_layer].offset),
                                            .run_bytes = static_cast<int64_t>(run)}));
    TW_RETURN_IF_ERROR(device_.Synchronize(stream_));
  }
  return OkStatus();
}

// A single block is one run already.
Status BlockTransfer::Out(std::span<const BlockId> blocks, int first_layer, int layers, std::span<std::byte> out) {
  return InParts(blocks, first_layer, layers,
                 [&](std::span<const BlockId> some, size_t at, const KvBlockCopyArgs& args) -> Status {
                   const size_t bytes = some.size() * args.run_bytes;
                   if (some.size() == 1)
                     return device_.Copy(out.data() + at, RunOf(some[0], first_layer), bytes, stream_);
                   kernels::PackKvBlocks({stream_.handle, false}, args);
                   return device_.Copy(out.data() + at, message_.data(), bytes, stream_);
                 });
}

Status BlockTransfer::In(std::span<const BlockId> blocks, int first_layer, int layers, std::span<const std::byte> in) {
  return InParts(blocks, first_layer, layers,
                 [&](std::span<const BlockId> some, size_t at, const KvBlockCopyArgs& args) -> Status {
                   const size_t bytes = some.size() * args.run_bytes;
                   if (some.size() == 1)
                     return device_.Copy(RunOf(some[0], first_layer), in.data() + at, bytes, stream_);
                   TW_RETURN_IF_ERROR(device_.Copy(message_.data(), in.data() + at, bytes, stream_));
                   kernels::UnpackKvBlocks({stream_.handle, false}, args);
                   return OkStatus();
                 });
}

}  // namespace tokenworks::model::cuda
