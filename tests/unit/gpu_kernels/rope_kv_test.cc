// SPDX-License-Identifier: Apache-2.0
// Into the paged pool and out of it: RoPE with KV write, packing of blocks.
#include "kernels/kv_block_copy/kv_block_copy.h"
#include "kernels/rope/rope_kv_write.h"
#include "paged_kv_fixture.h"

namespace tokenworks::kernels::testing {
namespace {

using RopeKvWriteTest = PagedKvTest;
using KvBlockCopyTest = DeviceTest;

TEST_F(RopeKvWriteTest, BothPairings) {
  for (const int dim : {16, 64, 128})
    for (const bool neighbours : {false, true}) {
      const int query_heads = 6, kv_heads = 3, rows = 5, heads = query_heads + 2 * kv_heads;
      PagedPool pool = MakePool({60, 400}, kv_heads, dim);
      const std::vector<Bf16> qkv = RandomBf16(rows * heads * dim);
      const std::vector<int32_t> sequence = {0, 1, 1, 0, 1}, position = {59, 399, 0, -1, 17};
      std::vector<double> frequency(dim / 2);
      for (int i = 0; i < dim / 2; ++i)
        frequency[i] = std::pow(500000.0, -2.0 * i / dim) * 300;  // as far out as position 120k
      const auto d_qkv = Upload(qkv), query = Output<Bf16>(rows * query_heads * dim);
      std::vector<Bf16> expected = Download(query);
      const auto d_sequence = Upload(sequence), d_position = Upload(position);
      const auto d_frequency = Upload(frequency);
      RopeKvWriteArgs args{.qkv = qkv.data(),
                           .query = expected.data(),
                           .kv = pool.HostView(),
                           .tables = pool.HostTables(),
                           .sequence = sequence.data(),
                           .position = position.data(),
                           .frequency = frequency.data(),
                           .rows = rows,
                           .query_heads = query_heads,
                           .kv_heads = kv_heads,
                           .dim = dim,
                           .neighbours = neighbours};
      RopeKvWriteReference(args);
      args.qkv = d_qkv.data(), args.query = query.data(), args.kv = pool.DeviceView(),
      args.tables = pool.DeviceTables();
      args.sequence = d_sequence.data(), args.position = d_position.data(), args.frequency = d_frequency.data();
      RopeKvWrite(context_, args);
      // The padding row stays poisoned on both sides, and so do positions past the context: take those bits out.
      const auto clean = [](std::vector<Bf16> v) {
        for (Bf16& x : v)
          if ((x.bits & 0x7fff) == 0x7fff) x = ToBf16(7);
        return v;
      };
      EXPECT_LT(RelativeError(clean(Download(query)), clean(expected)), 3e-3) << dim << neighbours;
      EXPECT_LT(RelativeError(clean(Download(pool.on_device)), clean(pool.host)), 1e-3) << dim << neighbours;
    }
}

TEST_F(KvBlockCopyTest, PackThenUnpackMovesOnlyTheRun) {
  for (const int ctas : {1, 3}) {
    const int blocks = 23, block_bytes = 2304, offset = 256, run = 1040;
    std::vector<unsigned char> pool(blocks * block_bytes);
    for (auto& b : pool) b = static_cast<unsigned char>(random_());
    const std::vector<int32_t> order = {22, 0, 7, 8, 9, 15, 3};
    std::vector<unsigned char> expected(order.size() * run);
    KvBlockCopyArgs args{.pool = pool.data(),
                         .message = expected.data(),
                         .blocks = order.data(),
                         .count = static_cast<int>(order.size()),
                         .block_bytes = block_bytes,
                         .offset_bytes = offset,
                         .run_bytes = run,
                         .ctas = ctas};
    PackKvBlocksReference(args);
    const auto d_pool = Upload(pool), message = Output<unsigned char>(expected.size());
    const auto d_order = Upload(order);
    args.pool = d_pool.data(), args.message = message.data(), args.blocks = d_order.data();
    PackKvBlocks(context_, args);
    EXPECT_EQ(Download(message), expected);

    std::vector<unsigned char> other(pool.size(), 0x5a);
    const auto d_other = Upload(other);
    args.pool = d_other.data();
    UnpackKvBlocks(context_, args);
    UnpackKvBlocksReference({.pool = other.data(),
                             .message = expected.data(),
                             .blocks = order.data(),
                             .count = static_cast<int>(order.size()),
                             .block_bytes = block_bytes,
                             .offset_bytes = offset,
                             .run_bytes = run});
    EXPECT_EQ(Download(d_other), other);
  }
}

}  // namespace
}  // namespace tokenworks::kernels::testing
