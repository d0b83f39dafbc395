// SPDX-License-Identifier: Apache-2.0
// The default model on the CUDA executor over the device that is the host, against the CPU's F32 path.
#include "bench/gpu/model/handoff_logits.h"
#include "cuda_fidelity.h"
#include "logits_oracle.h"

namespace tokenworks::model::cuda {
namespace {

StatusOr<std::unique_ptr<CudaExecutor>> MakeDefaultOnHost() {
  CudaExecutorOptions options;
  TW_ASSIGN_OR_RETURN(options.model_path, cpu::DefaultModelPath());
  options.kv_bytes = 8 << 20;
  options.context_length = 512;
  options.limits = {.rows = 32, .samples = 2};
  return CudaExecutor::Create(options, device::OpenHostDevice());
}

std::vector<TokenId> Text(int tokens) {
  std::vector<TokenId> text = {1, 4093, 198};
  for (int i = 0; static_cast<int>(text.size()) < tokens; ++i) text.push_back(260 + i * 1733 % 40000);
  return text;
}

TEST(CudaOracle, TheDefaultModelStaysWithinBf16OfTheReferencePath) {
  const auto reference = cpu::MakeDefaultModel(true, 2);
  ASSERT_TRUE(reference.ok()) << reference.status();
  const auto cuda = MakeDefaultOnHost();
  ASSERT_TRUE(cuda.ok()) << cuda.status();
  const Fidelity f = Compare(**cuda, **reference, Text(24), 20, 20, 0.02);
  EXPECT_EQ(f.positions, 5);
  EXPECT_LE(f.worst, 0.02);
  EXPECT_LE(f.mean_rms, 0.01);
  EXPECT_EQ(f.decided_agree, f.decided);
}

// A prompt computed in bf16 goes on in the CPU's F32 path: as its own, within bf16. (Its fast path rounds activations to
// 8 bits, which moves single logits more than the conversion does.)
TEST(CudaOracle, AHandOffToTheCpuStaysWithinBf16OfItsOwnPrefill) {
  const auto receiving = cpu::MakeDefaultModel(true, 2), own = cpu::MakeDefaultModel(true, 2);
  ASSERT_TRUE(receiving.ok() && own.ok());
  const auto cuda = MakeDefaultOnHost();
  ASSERT_TRUE(cuda.ok()) << cuda.status();
  const auto seen = bench::MeasureHandoff(**cuda, **receiving, **own, Text(44), 24);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ(seen->positions, 20);
  EXPECT_GT(seen->worst, 0) << "nothing was handed over";
  EXPECT_LE(seen->worst, 0.03);
  EXPECT_GE(seen->same, 19);
}

}  // namespace
}  // namespace tokenworks::model::cuda
