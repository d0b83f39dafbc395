// SPDX-License-Identifier: Apache-2.0
// KV blocks between the device's pool and host memory: packed into one message on the device, then copied at once.
#pragma once

#include <memory>
#include <span>

#include "platform/device/buffer.h"
#include "platform/device/pinned.h"
#include "tokenworks/ids.h"
#include "tokenworks/kv_layout.h"

namespace tokenworks::model::cuda {

// Bytes of device memory that messages are packed in; longer ones go in parts.
inline constexpr size_t kMessageBytes = size_t{8} << 20;

// Owns its stream and its message. Thread: one at a time; another may use the device's other streams.
class BlockTransfer {
 public:
  // `pool` lies as `layout` says, all borrowed. ResourceExhausted: no memory for the message.
  static StatusOr<std::unique_ptr<BlockTransfer>> Create(const KvLayout& layout, std::byte* pool,
                                                         device::Device& device);
  ~BlockTransfer() { device_.Destroy(stream_); }

  // Layers [first_layer, first_layer + layers) of each block, one block after the other; done when it returns.
  Status Out(std::span<const BlockId> blocks, int first_layer, int layers, std::span<std::byte> out);
  Status In(std::span<const BlockId> blocks, int first_layer, int layers, std::span<const std::byte> in);

 private:
  BlockTransfer(const KvLayout& layout, std::byte* pool, device::Device& device)
      : layout_(layout), pool_(pool), device_(device) {}
  // part(blocks, first byte of the whole message, kernel arguments) for as many blocks at once as the message holds.
  template <class Part>
  Status InParts(std::span<const BlockId> blocks, int first_layer, int layers, const Part& part);
  std::byte* RunOf(BlockId block, int first_layer) const {
    return pool_ + layout_.block_bytes * block + layout_.layers[first_layer].offset;
  }

  const KvLayout& layout_;
  std::byte* const pool_;
  device::Device& device_;
  device::Stream stream_;
  device::Buffer<std::byte> message_;
  device::Pinned<BlockId> blocks_;  // the kernel reads them from here
};

}  // namespace tokenworks::model::cuda
