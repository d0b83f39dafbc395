// SPDX-License-Identifier: Apache-2.0
// The executor behind the C interface, in a library of its own over the device that is the host.
#include "engine/model/cuda_loader/cuda_library.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "executor_conformance.h"
#include "tests/gguf/tiny_model.h"

namespace tokenworks::model {
namespace {

using testing::HasSubstr;

CudaLibrary Library() {
  StatusOr<CudaLibrary> library = CudaLibrary::Open(TOKENWORKS_CUDA_ON_HOST);
  EXPECT_TRUE(library.ok()) << library.status();
  return *std::move(library);
}

std::unique_ptr<Executor> MakeByLibrary() {
  const gguf::TemporaryFile file(gguf::TinyModel(20261127, 64).Build());
  auto executor = Library().CreateExecutor({.model_path = file.path(),
                                            .model_name = "tiny",
                                            .kv_bytes = 2 << 20,
                                            .layer_group_layers = 1,
                                            .rows_max = 128,
                                            .samples_max = 8});
  EXPECT_TRUE(executor.ok()) << executor.status();
  return executor.ok() ? std::move(*executor) : nullptr;
}

// On a device that starts nothing before it must: what the host changes too early shows.
std::unique_ptr<Executor> MakeLate() {
  setenv("TOKENWORKS_HOST_LATE", "1", 1);
  auto executor = MakeByLibrary();
  unsetenv("TOKENWORKS_HOST_LATE");
  return executor;
}

INSTANTIATE_TEST_SUITE_P(CudaLibrary, ExecutorConformance,
                         testing::Values(Subject{"Prompt", [] { return MakeByLibrary(); }, 0.06},
                                         Subject{"Late", [] { return MakeLate(); }, 0.06}),
                         [](const auto& info) { return info.param.name; });

TEST(CudaLibrary, EverySamplingFieldArrives) {
  const auto executor = MakeByLibrary();
  SamplingParams sampling;
  sampling.temperature = 0;
  sampling.logit_bias = {{17, 100.0f}, {18, 140.0f}};
  sampling.min_tokens = 2;
  sampling.stop_token_ids = {18};
  sampling.logprobs = 3;
  Sequence s(kA, MakePrompt(20, 5), Blocks(0, 3), sampling);
  s.Generate(*executor, {64}, 3);
  EXPECT_EQ(Ids(s.answers()), (std::vector<TokenId>{17, 17, 18})) << "a stop token is masked by min_tokens";
  EXPECT_EQ(s.answers()[0].top.size(), 3u);
}

TEST(CudaLibrary, DevicesAreFoundByUuid) {
  const CudaLibrary library = Library();
  EXPECT_EQ(library.Devices()->usable.size(), 1u);
  setenv("TOKENWORKS_HOST_DEVICES", "3", 1);
  const auto devices = library.Devices();
  ASSERT_EQ(devices->usable.size(), 3u);
  EXPECT_EQ(devices->usable[2].index, 2);
  EXPECT_NE(devices->usable[2].uuid, devices->usable[1].uuid);
  EXPECT_EQ(library.Find(devices->usable[1].uuid)->index, 1);
  setenv("TOKENWORKS_HOST_DEVICES", "1", 1);
  EXPECT_THAT(library.Find(devices->usable[1].uuid).status().message(),
              testing::AllOf(HasSubstr("no GPU of this host has the UUID " + devices->usable[1].uuid),
                             HasSubstr("device 0: " + devices->usable[0].uuid)));
  setenv("TOKENWORKS_HOST_DEVICES", "0", 1);
  EXPECT_EQ(library.Devices().status().code(), StatusCode::kNotFound);
  unsetenv("TOKENWORKS_HOST_DEVICES");
}

TEST(CudaLibrary, TheExecutorSaysWhichDeviceItIsOn) {
  setenv("TOKENWORKS_HOST_DEVICES", "2", 1);
  const gguf::TemporaryFile file(gguf::TinyModel(20261127, 64).Build());
  const auto executor = Library().CreateExecutor({.model_path = file.path(), .device = 1, .kv_bytes = 2 << 20});
  unsetenv("TOKENWORKS_HOST_DEVICES");
  ASSERT_TRUE(executor.ok()) << executor.status();
  EXPECT_EQ((*executor)->info().device, "cuda:1");
}

TEST(CudaLibrary, ErrorsComeAsTheyAreSaid) {
  EXPECT_THAT(
      CudaLibrary::Open("/nowhere/libtokenworks_cuda.so").status().message(),
      testing::AllOf(HasSubstr("/nowhere/libtokenworks_cuda.so is not there"), HasSubstr("pools.*.device: cpu")));
  const gguf::TemporaryFile text("not a library");
  EXPECT_EQ(CudaLibrary::Open(text.path()).status().code(), StatusCode::kNotFound);
  const CudaLibrary library = Library();
  EXPECT_EQ(library.Describe(0)->name, "host");
  EXPECT_EQ(library.Describe(3).status().code(), StatusCode::kNotFound);
  EXPECT_THAT(library.Describe(3).status().message(), HasSubstr("no device 3"));
  EXPECT_EQ(library.CreateExecutor({.model_path = "/nowhere.gguf"}).status().code(), StatusCode::kNotFound);
  const auto executor = MakeByLibrary();
  StepPlan bad;
  bad.id = 7;
  bad.items = {{{5}, -1, {0}, {}}};
  const Status refused = executor->Submit(bad);
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.message(), HasSubstr("step plan 7"));
  EXPECT_EQ(executor->Collect().status().code(), StatusCode::kFailedPrecondition);
}

TEST(CudaLibrary, AMatrixLibraryThatCannotBeUsedIsSaidBeforeAModelIsLoaded) {
  EXPECT_EQ(Library().Describe(0)->matrix_library_problem, "");
  setenv("TOKENWORKS_HOST_LACKS", "no matrix products here", 1);
  const auto device = Library().Describe(0);
  const auto executor = Library().CreateExecutor({.model_path = "/nowhere.gguf"});
  unsetenv("TOKENWORKS_HOST_LACKS");
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_EQ(device->matrix_library_problem, "no matrix products here");
  EXPECT_EQ(executor.status(), absl::NotFoundError("no matrix products here"));
}

}  // namespace
}  // namespace tokenworks::model
