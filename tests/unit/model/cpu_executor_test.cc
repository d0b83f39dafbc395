// SPDX-License-Identifier: Apache-2.0
// The CPU executor, with one thread and two, passes the conformance suite on a model made from a seed.
#include "engine/model/cpu/cpu_executor.h"

#include "executor_conformance.h"
#include "tests/gguf/tiny_model.h"

namespace tokenworks::model {
namespace {

std::unique_ptr<Executor> MakeCpu(int threads, std::string kernels, bool reference) {
  const gguf::TemporaryFile file(gguf::TinyModel(20261126).Build());
  cpu::CpuExecutorOptions options;
  options.model_path = file.path();
  options.threads = threads;
  options.kernels = std::move(kernels);
  options.kv_bytes = 1 << 20;
  options.layer_group_layers = 1;
  options.reference = reference;
  auto executor = cpu::CpuExecutor::Create(options);
  EXPECT_TRUE(executor.ok()) << executor.status();
  return executor.ok() ? std::move(*executor) : nullptr;
}

INSTANTIATE_TEST_SUITE_P(Cpu, ExecutorConformance,
                         testing::Values(Subject{"OneThread", [] { return MakeCpu(1, "", false); }}, Subject{"TwoThreads", [] { return MakeCpu(2, "", false); }},
                                         Subject{"Scalar", [] { return MakeCpu(1, "scalar", false); }}, Subject{"Reference", [] { return MakeCpu(1, "", true); }}),
                         [](const auto& info) { return info.param.name; });

TEST(CpuExecutor, AnswersTheSameWithAnyThreadsAndKernels) {
  std::vector<SampledToken> first;
  for (const auto& [threads, kernels] : {std::pair{1, ""}, {2, ""}, {1, "scalar"}}) {
    const auto executor = MakeCpu(threads, kernels, false);
    ASSERT_NE(executor, nullptr);
    SamplingParams sampling;
    sampling.seed = 5;
    sampling.logprobs = 5;
    Sequence s({{1}, 0}, MakePrompt(70, 1), {3, 1, 4, 9, 5, 2}, sampling);
    s.Generate(*executor, {32}, 16);
    if (first.empty()) first = s.answers();
    EXPECT_EQ(s.answers(), first) << threads << " threads, kernels '" << kernels << "'";
  }
  EXPECT_EQ(first.size(), 16u);
}

}  // namespace
}  // namespace tokenworks::model
