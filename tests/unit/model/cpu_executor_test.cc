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
                         testing::Values(Subject{"OneThread", [] { return MakeCpu(1, "", false); }},
                                         Subject{"TwoThreads", [] { return MakeCpu(2, "", false); }},
                                         Subject{"Scalar", [] { return MakeCpu(1, "scalar", false); }},
                                         Subject{"Reference", [] { return MakeCpu(1, "", true); }}),
                         [](const auto& info) { return info.param.name; });

TEST(CpuExecutor, AnswersTheSameWithAnyThreadsAndKernels) {
  for (const int prompt : {70, 420}) {  // one segment of attention, and two
    std::vector<SampledToken> first;
    for (const auto& [threads, kernels, chunk] :
         {std::tuple{1, "", 32}, {2, "", 32}, {2, "", 512}, {3, "", 2}, {1, "scalar", 32}}) {
      const auto executor = MakeCpu(threads, kernels, false);
      ASSERT_NE(executor, nullptr);
      SamplingParams sampling;
      sampling.seed = 5;
      sampling.logprobs = 5;
      std::vector<BlockId> blocks;
      for (int b = 0; b < 28; ++b) blocks.push_back(b * 9 % 28);
      Sequence s({{1}, 0}, MakePrompt(prompt, 1), blocks, sampling);
      s.Generate(*executor, {chunk}, 16);
      if (first.empty()) first = s.answers();
      EXPECT_EQ(s.answers(), first) << threads << " threads, kernels '" << kernels << "', chunk " << chunk;
    }
    EXPECT_EQ(first.size(), 16u);
  }
}

}  // namespace
}  // namespace tokenworks::model
