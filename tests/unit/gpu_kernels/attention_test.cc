// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/decode_attention.h"
#include "kernels/attention/prefill_attention.h"
#include "paged_kv_fixture.h"

namespace tokenworks::kernels::testing {
namespace {

using PrefillAttentionTest = PagedKvTest;

struct DecodeCase {
  int dim, group, kv_heads, splits;
};
class DecodeAttentionTest : public PagedKvTest, public ::testing::WithParamInterface<DecodeCase> {};

TEST_P(DecodeAttentionTest, AgreesWithReference) {
  const DecodeCase c = GetParam();
  const std::vector<int32_t> context = {1, 15, 16, 17, 0, 64, 300, 700};
  const int rows = static_cast<int>(context.size()), heads = c.group * c.kv_heads;
  PagedPool pool = MakePool(context, c.kv_heads, c.dim);
  const std::vector<Bf16> query = RandomBf16(rows * heads * c.dim, 1.5f);
  std::vector<Bf16> expected(query.size());
  DecodeAttentionArgs args{.query = query.data(),
                           .kv = pool.HostView(),
                           .tables = pool.HostTables(),
                           .context = context.data(),
                           .out = expected.data(),
                           .rows = rows,
                           .query_heads = heads,
                           .kv_heads = c.kv_heads,
                           .dim = c.dim,
                           .splits = c.splits,
                           .scale = 1 / std::sqrt(float(c.dim))};
  DecodeAttentionReference(args);
  const auto d_query = Upload(query), out = Output<Bf16>(query.size());
  const auto d_context = Upload(context);
  const auto partial = Output<float>(DecodePartialFloats(args));
  args.query = d_query.data(), args.kv = pool.DeviceView(), args.tables = pool.DeviceTables(),
  args.context = d_context.data();
  args.out = out.data(), args.partial = partial.data();
  DecodeAttention(context_, args);
  EXPECT_LT(RelativeError(Download(out), expected), 5e-3);
}

INSTANTIATE_TEST_SUITE_P(Shapes, DecodeAttentionTest,
                         ::testing::Values(DecodeCase{64, 1, 2, 1}, DecodeCase{64, 3, 3, 4}, DecodeCase{64, 8, 1, 2},
                                           DecodeCase{128, 1, 1, 1}, DecodeCase{128, 4, 2, 1}, DecodeCase{128, 4, 2, 7},
                                           DecodeCase{128, 7, 1, 64}, DecodeCase{128, 8, 2, 3}));

TEST_F(PagedKvTest, DecodeSplitsFillTheDevice) {
  EXPECT_EQ(DecodeSplits(64, 8, 4096, 132), 1);
  EXPECT_EQ(DecodeSplits(1, 8, 2048, 132), 16);
  EXPECT_EQ(DecodeSplits(1, 8, 60, 132), 1);
  EXPECT_EQ(DecodeSplits(1, 1, 100000, 132), 64);
}

struct PrefillSequence {
  int past, rows;
};

TEST_F(PrefillAttentionTest, ChunksOfSeveralSequences) {
  const std::vector<PrefillSequence> sequences = {{0, 1}, {0, 130}, {70, 33}, {13, 128}, {257, 5}};
  for (const int dim : {64, 128}) {
    const int kv_heads = 2, heads = 6, count = static_cast<int>(sequences.size());
    std::vector<int32_t> first_row = {0}, context;
    for (const PrefillSequence& s : sequences) {
      first_row.push_back(first_row.back() + s.rows);
      context.push_back(s.past + s.rows);
    }
    PagedPool pool = MakePool(context, kv_heads, dim);
    const std::vector<Bf16> query = RandomBf16(first_row.back() * heads * dim, 1.5f);
    std::vector<Bf16> expected(query.size());
    PrefillAttentionArgs args{.query = query.data(),
                              .kv = pool.HostView(),
                              .tables = pool.HostTables(),
                              .first_row = first_row.data(),
                              .context = context.data(),
                              .out = expected.data(),
                              .sequences = count,
                              .max_rows = 130,
                              .query_heads = heads,
                              .kv_heads = kv_heads,
                              .dim = dim,
                              .scale = 1 / std::sqrt(float(dim))};
    PrefillAttentionReference(args);
    const auto d_query = Upload(query), out = Output<Bf16>(query.size());
    const auto d_first_row = Upload(first_row), d_context = Upload(context);
    args.query = d_query.data(), args.kv = pool.DeviceView(), args.tables = pool.DeviceTables(),
    args.first_row = d_first_row.data();
    args.context = d_context.data(), args.out = out.data();
    PrefillAttention(context_, args);
    EXPECT_LT(RelativeError(Download(out), expected), 5e-3) << dim;
  }
}

}  // namespace
}  // namespace tokenworks::kernels::testing
