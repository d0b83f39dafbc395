// SPDX-License-Identifier: Apache-2.0
// A random paged pool of two layers with shuffled blocks, on the host and on the device.
#pragma once

#include <algorithm>
#include <numeric>

#include "device_fixture.h"
#include "kernels/attention/paged_kv.h"

namespace tokenworks::kernels::testing {

struct PagedPool {
  std::vector<Bf16> host;
  std::vector<int32_t> blocks;  // [sequences][stride]
  device::Buffer<Bf16> on_device;
  device::Buffer<int32_t> blocks_on_device;
  int stride = 0, heads = 0, dim = 0;

  // The second of the two layers.
  PagedKv HostView() { return LayerOfPool(host.data(), 1, 2, heads, dim); }
  PagedKv DeviceView() const { return LayerOfPool(on_device.data(), 1, 2, heads, dim); }
  BlockTables HostTables() const { return {blocks.data(), stride}; }
  BlockTables DeviceTables() const { return {blocks_on_device.data(), stride}; }
};

class PagedKvTest : public DeviceTest {
 protected:
  // Values past each context are NaN: a kernel that reads them shows it.
  PagedPool MakePool(const std::vector<int32_t>& context, int heads, int dim) {
    PagedPool p;
    p.heads = heads, p.dim = dim;
    const int longest = *std::max_element(context.begin(), context.end());
    p.stride = longest / kKvBlockTokens + 2;
    p.blocks.resize(context.size() * p.stride);
    std::iota(p.blocks.begin(), p.blocks.end(), 0);
    std::shuffle(p.blocks.begin(), p.blocks.end(), random_);
    p.host = RandomBf16(p.blocks.size() * 2 * 2 * heads * kKvBlockTokens * dim);
    PagedKv kv = p.HostView();
    for (size_t s = 0; s < context.size(); ++s)
      for (int t = context[s]; t < p.stride * kKvBlockTokens; ++t)
        for (int plane = 0; plane < 2; ++plane)
          for (int h = 0; h < heads; ++h)
            for (int i = 0; i < dim; ++i)
              kv.base[p.blocks[s * p.stride + t / 16] * kv.block_stride + plane * kv.plane_stride + h * kv.head_stride +
                      t % 16 * kv.token_stride + i] = Bf16{0x7fff};
    p.on_device = Upload(p.host);
    p.blocks_on_device = Upload(p.blocks);
    return p;
  }
};

}  // namespace tokenworks::kernels::testing
