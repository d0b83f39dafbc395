// SPDX-License-Identifier: Apache-2.0
// The CUDA executor on the device that is the host: its logits against the CPU's F32 path, sampling, refusals. The
// conformance suite runs on it in cuda_library_test.cc, behind the C interface.
#include "engine/model/cuda/cuda_executor.h"

#include <gmock/gmock.h>

#include "cuda_fidelity.h"
#include "engine/model/cpu/cpu_executor.h"
#include "executor_conformance.h"
#include "tests/gguf/tiny_model.h"

namespace tokenworks::model {
namespace {

using cuda::CudaExecutor;
using cuda::CudaExecutorOptions;

constexpr int kSeed = 20261127, kHeadDim = 64;

CudaExecutorOptions Options(const std::string& path) {
  CudaExecutorOptions options;
  options.model_path = path;
  options.kv_bytes = 2 << 20;
  options.layer_group_layers = 1;
  options.limits = {.rows = 128, .samples = 8};
  return options;
}

std::unique_ptr<CudaExecutor> MakeOnHost() {
  const gguf::TemporaryFile file(gguf::TinyModel(kSeed, kHeadDim).Build());
  auto executor = CudaExecutor::Create(Options(file.path()), device::OpenHostDevice());
  EXPECT_TRUE(executor.ok()) << executor.status();
  return executor.ok() ? std::move(*executor) : nullptr;
}

TEST(CudaExecutor, LogitsStayWithinBf16OfTheReferencePath) {
  const gguf::TemporaryFile file(gguf::TinyModel(kSeed, kHeadDim).Build());
  const auto cuda = MakeOnHost();
  cpu::CpuExecutorOptions cpu_options;
  cpu_options.model_path = file.path();
  cpu_options.kv_bytes = 8 << 20;
  cpu_options.reference = true;
  const auto reference = cpu::CpuExecutor::Create(cpu_options);
  ASSERT_TRUE(reference.ok()) << reference.status();
  // Chunks of 40, then token by token: the tensor-core attention, the library's products, the matrix-vector ones.
  // Random weights make sharp attention: 64 wide, one bf16 rounding shows more than in a trained model.
  const cuda::Fidelity f = cuda::Compare(*cuda, **reference, MakePrompt(140, 3), 40, 80, 0.06);
  EXPECT_EQ(f.positions, 62);
  EXPECT_LE(f.worst, 0.06);
  EXPECT_LE(f.mean_rms, 0.025);
  EXPECT_EQ(f.decided_agree, f.decided);
  EXPECT_GE(f.decided, 10) << "no position says anything about greedy tokens";
}

TEST(CudaExecutor, PenaltiesBiasAndMinTokensReachTheDevice) {
  const auto draw = [](SamplingParams sampling, int count) {
    const auto e = MakeOnHost();
    sampling.temperature = 0;
    Sequence s(kA, MakePrompt(20, 5), Blocks(0, 4), sampling);
    s.Generate(*e, {64}, count);
    return Ids(s.answers());
  };
  const std::vector<TokenId> plain = draw({}, 12);
  SamplingParams banned;
  banned.logit_bias = {{plain[0], -100.0f}};
  EXPECT_NE(draw(banned, 1)[0], plain[0]);
  SamplingParams forced;
  forced.logit_bias = {{17, 100.0f}};
  EXPECT_EQ(draw(forced, 3), (std::vector<TokenId>{17, 17, 17}));
  SamplingParams varied = forced;
  varied.frequency_penalty = 2.0f;
  varied.presence_penalty = 2.0f;
  varied.logit_bias = {{17, 3.0f}};
  const std::vector<TokenId> once = draw(varied, 12);
  EXPECT_LT(std::count(once.begin(), once.end(), 17), std::max<long>(2, std::count(plain.begin(), plain.end(), 17)));
  SamplingParams longer;
  longer.logit_bias = {{2, 100.0f}};  // the model's end token
  longer.min_tokens = 3;
  const std::vector<TokenId> ends = draw(longer, 4);
  for (int i = 0; i < 3; ++i) EXPECT_NE(ends[i], 2) << i;
  EXPECT_EQ(ends[3], 2);
}

TEST(CudaExecutor, RefusesWhatItHasNoBuffersFor) {
  const auto e = MakeOnHost();
  const std::vector<TokenId> text = MakePrompt(200, 1);
  const Status wide = e->Submit(cuda::Chunk(text, 0, 200, true));
  EXPECT_EQ(wide.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(wide.message(), testing::HasSubstr("200 rows"));
  StepPlan pending = cuda::Chunk(text, 0, 1, true);
  pending.items[0].tokens = {kPendingToken};
  EXPECT_THAT(e->Submit(pending).message(), testing::HasSubstr("drew none in the plan before"));
}

// Memory that runs out in the middle of work: that plan is refused, the next ones run.
TEST(CudaExecutor, GoesOnAfterMemoryRanOut) {
  const gguf::TemporaryFile file(gguf::TinyModel(kSeed, kHeadDim).Build());
  auto owned = device::OpenHostDevice();
  device::Device& device = *owned;
  const auto executor = CudaExecutor::Create(Options(file.path()), std::move(owned));
  ASSERT_TRUE(executor.ok()) << executor.status();
  std::vector<void*> hogs;
  for (size_t bytes = size_t{1} << 29; bytes > 0; bytes /= 2)
    for (auto hog = device.Allocate(bytes); hog.ok(); hog = device.Allocate(bytes)) hogs.push_back(*hog);
  SamplingParams biased;
  biased.temperature = 0;
  biased.logit_bias = {{17, 100.0f}};
  Sequence s(kA, MakePrompt(20, 5), Blocks(0, 4), biased), plain(kB, MakePrompt(20, 5), Blocks(4, 4));
  StepPlan plan;
  plan.starts = {s.Start()};
  plan.items = {Sequence(s).Next(64)};
  EXPECT_EQ((*executor)->Submit(plan).code(), StatusCode::kResourceExhausted) << "the bias has no room on the device";
  plain.Generate(**executor, {64}, 2);
  for (void* hog : hogs) device.Free(hog);
  StepPlan end;
  end.ends = {kA};
  ASSERT_TRUE((*executor)->Submit(end).ok());
  ASSERT_TRUE((*executor)->Collect().ok());
  s.Generate(**executor, {64}, 3);
  EXPECT_EQ(Ids(s.answers()), (std::vector<TokenId>{17, 17, 17}));
}

TEST(CudaExecutor, SaysWhatDoesNotFitBeforeItLoads) {
  const gguf::TemporaryFile file(gguf::TinyModel(kSeed, kHeadDim).Build()), narrow(gguf::TinyModel(kSeed).Build());
  CudaExecutorOptions options = Options(file.path());
  options.kv_bytes = uint64_t{4} << 30;  // the host device has 1 GiB
  const auto much = CudaExecutor::Create(options, device::OpenHostDevice());
  EXPECT_EQ(much.status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(much.status().message(), testing::AllOf(testing::HasSubstr("weights"), testing::HasSubstr("workspace"),
                                                      testing::HasSubstr("KV 409"), testing::HasSubstr("1024 MiB")));
  options.kv_bytes = 1000;
  EXPECT_THAT(CudaExecutor::Create(options, device::OpenHostDevice()).status().message(),
              testing::HasSubstr("fewer than two blocks"));
  const auto products = CudaExecutor::Create(Options("absent.gguf"),
                                             device::OpenHostDevice({.matrix_library = absl::NotFoundError("none")}));
  EXPECT_EQ(products.status(), absl::NotFoundError("none"));
  const auto heads = CudaExecutor::Create(Options(narrow.path()), device::OpenHostDevice());
  EXPECT_EQ(heads.status().code(), StatusCode::kUnimplemented);
  EXPECT_THAT(heads.status().message(), testing::HasSubstr("heads of 16 dimensions"));
}

TEST(CudaStepShape, RoundsUpToFewSizes) {
  for (const auto& [rows, bucket] : {std::pair{1, 1}, {2, 2}, {3, 4}, {129, 256}, {256, 256}, {257, 384}, {1000, 1024}})
    EXPECT_EQ(cuda::RowBucket(rows), bucket);
  EXPECT_EQ(cuda::BlockBucket(1, 8192), 32);
  EXPECT_EQ(cuda::BlockBucket(33, 8192), 128);
  EXPECT_EQ(cuda::BlockBucket(33, 700), 44);
  StepPlan plan;
  plan.items = {{std::vector<TokenId>(1, 3), 40, {0, 1, 2}, {kA}}, {std::vector<TokenId>(30, 3), 0, {4, 5}, {}}};
  const cuda::StepShape mixed = cuda::ShapeOf(plan, 1024);
  EXPECT_EQ(mixed, (cuda::StepShape{32, 1, 1, 30, 1, 32, false}));
  plan.items.pop_back();
  plan.items.resize(3, plan.items[0]);
  EXPECT_EQ(cuda::ShapeOf(plan, 1024), (cuda::StepShape{4, 4, 0, 0, 4, 32, true}));
}

}  // namespace
}  // namespace tokenworks::model
