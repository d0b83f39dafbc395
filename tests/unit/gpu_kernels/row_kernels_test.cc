// SPDX-License-Identifier: Apache-2.0
// Kernels that work row by row: embedding, RMSNorm, SwiGLU, GEMV.
#include "device_fixture.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gemv/gemv.h"
#include "kernels/rms_norm/add_rms_norm.h"
#include "kernels/swiglu/swiglu.h"

namespace tokenworks::kernels::testing {
namespace {

using EmbeddingTest = DeviceTest;
using AddRmsNormTest = DeviceTest;
using SwiGluTest = DeviceTest;
using GemvTest = DeviceTest;

TEST_F(EmbeddingTest, TakesTokensThatTheStepBeforeHasDrawn) {
  const std::vector<Bf16> table = RandomBf16(37 * 64);
  const std::vector<int32_t> tokens = {-2, 4, -1, -3}, drawn = {7, 30, 99};
  std::vector<Bf16> expected(tokens.size() * 64);
  EmbeddingArgs args{.table = table.data(),
                     .tokens = tokens.data(),
                     .drawn = drawn.data(),
                     .out = expected.data(),
                     .rows = 4,
                     .width = 64,
                     .vocabulary = 37};
  GatherEmbeddingReference(args);
  EXPECT_EQ(expected[0].bits, table[30 * 64].bits);
  const auto d_table = Upload(table), out = Output<Bf16>(expected.size());
  const auto d_tokens = Upload(tokens), d_drawn = Upload(drawn);
  args.table = d_table.data(), args.tokens = d_tokens.data(), args.drawn = d_drawn.data(), args.out = out.data();
  GatherEmbedding(context_, args);
  EXPECT_TRUE(SameBits(Download(out), expected));
}

TEST_F(EmbeddingTest, CopiesRowsAndZeroesUnknownTokens) {
  for (const int width : {8, 576, 2056}) {
    const std::vector<Bf16> table = RandomBf16(37 * width);
    const std::vector<int32_t> tokens = {0, 36, 5, -1, 37, 5};
    std::vector<Bf16> expected(tokens.size() * width);
    EmbeddingArgs args{.table = table.data(),
                       .tokens = tokens.data(),
                       .out = expected.data(),
                       .rows = 6,
                       .width = width,
                       .vocabulary = 37};
    GatherEmbeddingReference(args);
    const auto d_table = Upload(table);
    const auto d_tokens = Upload(tokens);
    const auto out = Output<Bf16>(expected.size());
    args.table = d_table.data(), args.tokens = d_tokens.data(), args.out = out.data();
    GatherEmbedding(context_, args);
    EXPECT_TRUE(SameBits(Download(out), expected)) << width;
  }
}

TEST_F(AddRmsNormTest, OddShapes) {
  for (const int width : {8, 64, 576, 4096, 14336, 32768})
    for (const int rows : {1, 3})
      for (const bool adds : {false, true}) {
        std::vector<Bf16> residual = RandomBf16(rows * width, 3);
        const std::vector<Bf16> delta = RandomBf16(rows * width);
        const std::vector<float> gain = RandomFloat(width, 1, 0.2f);
        const auto d_residual = Upload(residual), d_delta = Upload(delta), out = Output<Bf16>(residual.size());
        const auto d_gain = Upload(gain);
        std::vector<Bf16> expected(residual.size());
        AddRmsNormReference({.residual = residual.data(),
                             .delta = adds ? delta.data() : nullptr,
                             .gain = gain.data(),
                             .out = expected.data(),
                             .rows = rows,
                             .width = width});
        AddRmsNorm(context_, {.residual = d_residual.data(),
                              .delta = adds ? d_delta.data() : nullptr,
                              .gain = d_gain.data(),
                              .out = out.data(),
                              .rows = rows,
                              .width = width});
        EXPECT_LT(RelativeError(Download(out), expected), 2e-3) << width << " x " << rows;
        EXPECT_TRUE(SameBits(Download(d_residual), residual)) << width << " x " << rows;
      }
}

TEST_F(SwiGluTest, OddShapes) {
  for (const int width : {8, 1536, 2056, 14336})
    for (const int rows : {1, 5}) {
      const std::vector<Bf16> gate_up = RandomBf16(rows * 2 * width, 4);
      std::vector<Bf16> expected(rows * width);
      SwiGluReference({.gate_up = gate_up.data(), .out = expected.data(), .rows = rows, .width = width});
      const auto d_gate_up = Upload(gate_up), out = Output<Bf16>(expected.size());
      SwiGlu(context_, {.gate_up = d_gate_up.data(), .out = out.data(), .rows = rows, .width = width});
      EXPECT_LT(RelativeError(Download(out), expected), 3e-3) << width << " x " << rows;
    }
}

struct GemvCase {
  int rows, outputs, inputs;
  bool swiglu, norm, residual;
};

class GemvCases : public DeviceTest, public ::testing::WithParamInterface<GemvCase> {};

TEST_P(GemvCases, AgreesWithReference) {
  const GemvCase c = GetParam();
  const std::vector<Bf16> weight = RandomBf16(size_t(c.outputs) * (c.swiglu ? 2 : 1) * c.inputs, 0.1f),
                          x = RandomBf16(c.rows * c.inputs);
  const std::vector<Bf16> residual = RandomBf16(c.rows * c.outputs);
  const std::vector<float> gain = RandomFloat(c.inputs, 1, 0.2f);
  std::vector<Bf16> expected(c.rows * c.outputs);
  GemvArgs args{.weight = weight.data(),
                .x = x.data(),
                .gain = c.norm ? gain.data() : nullptr,
                .swiglu = c.swiglu,
                .residual = c.residual ? residual.data() : nullptr,
                .y = expected.data(),
                .rows = c.rows,
                .outputs = c.outputs,
                .inputs = c.inputs,
                .multiprocessors = 2};
  GemvReference(args);
  const auto d_weight = Upload(weight), d_x = Upload(x), d_residual = Upload(residual),
             out = Output<Bf16>(expected.size());
  const auto d_gain = Upload(gain);
  args.weight = d_weight.data(), args.x = d_x.data(), args.gain = c.norm ? d_gain.data() : nullptr;
  args.residual = c.residual ? d_residual.data() : nullptr, args.y = out.data();
  Gemv(context_, args);
  EXPECT_LT(RelativeError(Download(out), expected), 4e-3);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, GemvCases,
    ::testing::Values(GemvCase{1, 1, 8, false, false, false}, GemvCase{1, 150, 4096, false, false, false},
                      GemvCase{1, 33, 576, false, true, false}, GemvCase{2, 70, 1032, false, true, true},
                      GemvCase{1, 65, 14336, false, false, true}, GemvCase{2, 130, 2048, true, true, false},
                      GemvCase{1, 7, 1536, true, false, false}, GemvCase{1, 90, 4096, true, true, false},
                      GemvCase{2, 17, 14336, true, false, false}, GemvCase{2, 3, 264, false, false, false}));

TEST_F(GemvTest, FloatOutputInPlaceResidual) {
  const std::vector<Bf16> weight = RandomBf16(40 * 128, 0.1f), x = RandomBf16(128);
  std::vector<float> expected(40);
  GemvReference({.weight = weight.data(), .x = x.data(), .y_float = expected.data(), .outputs = 40, .inputs = 128});
  const auto d_weight = Upload(weight), d_x = Upload(x);
  const auto out = Output<float>(40);
  Gemv(context_, {.weight = d_weight.data(), .x = d_x.data(), .y_float = out.data(), .outputs = 40, .inputs = 128});
  const std::vector<float> y = Download(out);
  for (int i = 0; i < 40; ++i) EXPECT_NEAR(y[i], expected[i], 1e-4f);
}

}  // namespace
}  // namespace tokenworks::kernels::testing
