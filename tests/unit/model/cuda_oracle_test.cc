// SPDX-License-Identifier: Apache-2.0
// The default model on the CUDA executor over the device that is the host, against the CPU's F32 path.
#include "cuda_fidelity.h"
#include "logits_oracle.h"

namespace tokenworks::model::cuda {
namespace {

TEST(CudaOracle, TheDefaultModelStaysWithinBf16OfTheReferencePath) {
  const auto reference = cpu::MakeDefaultModel(true, 2);
  ASSERT_TRUE(reference.ok()) << reference.status();
  CudaExecutorOptions options;
  options.model_path = *cpu::DefaultModelPath();
  options.kv_bytes = 8 << 20;
  options.context_length = 512;
  options.limits = {.rows = 32, .samples = 2};
  const auto cuda = CudaExecutor::Create(options, device::OpenHostDevice());
  ASSERT_TRUE(cuda.ok()) << cuda.status();
  std::vector<TokenId> text = {1, 4093, 198};
  for (int i = 0; i < 21; ++i) text.push_back(260 + i * 1733 % 40000);
  const Fidelity f = Compare(**cuda, **reference, text, 20, 20, 0.02);
  EXPECT_EQ(f.positions, 5);
  EXPECT_LE(f.worst, 0.02);
  EXPECT_LE(f.mean_rms, 0.01);
  EXPECT_EQ(f.decided_agree, f.decided);
}

}  // namespace
}  // namespace tokenworks::model::cuda
