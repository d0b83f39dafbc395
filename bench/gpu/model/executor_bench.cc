// SPDX-License-Identifier: Apache-2.0
// executor_bench MODEL.gguf logits FILE: logits of a fixed text, one row a step, in chunks, and 16 rows a step, for
// torch_reference.py. executor_bench MODEL.gguf handoff: the CPU's logits after a hand-off, beside its own prefill's.
// executor_bench MODEL.gguf speed [--json FILE]: decode, prefill and mixed steps.
#include <cstdio>
#include <cstring>

#include "executor_driver.h"
#include "handoff_logits.h"

#if defined(TW_BENCH_ON_HOST)
constexpr bool kSmall = true;
static tokenworks::StatusOr<std::unique_ptr<tokenworks::device::Device>> OpenDevice() {
  return tokenworks::device::OpenHostDevice();
}
#else
constexpr bool kSmall = false;
static tokenworks::StatusOr<std::unique_ptr<tokenworks::device::Device>> OpenDevice() {
  return tokenworks::device::OpenCudaDevice(0);
}
#endif

// At most so much of the largest logit (the KV was made in bf16).
constexpr double kHandoffBound = 0.03;

static int CheckHandoff(const char* model, tokenworks::model::cuda::CudaExecutor& cuda) {
  using tokenworks::model::cpu::CpuExecutor;
  const tokenworks::model::cpu::CpuExecutorOptions options{
      .model_path = model, .kv_bytes = uint64_t{64} << 20, .context_length = 128};
  const auto receiving = CpuExecutor::Create(options), own = CpuExecutor::Create(options);
  std::vector<tokenworks::TokenId> text;
  for (int p = 0; p < 64; ++p) text.push_back((p * 7919 + 13) % cuda.info().vocabulary);
  const auto seen = receiving.ok() && own.ok() ? tokenworks::bench::MeasureHandoff(cuda, **receiving, **own, text, 40)
                    : receiving.ok()           ? own.status()
                                               : receiving.status();
  if (!seen.ok()) {
    std::printf("FAILED: %s\n", std::string(seen.status().message()).c_str());
    return 1;
  }
  std::printf(
      "hand-off to the CPU: worst difference %.3f %% of the largest logit (aim %.0f %%), likeliest token equal on %d "
      "of %d\n",
      100 * seen->worst, 100 * kHandoffBound, seen->same, seen->positions);
  return seen->worst <= kHandoffBound ? 0 : 1;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: executor_bench MODEL.gguf logits FILE | handoff | speed [--json FILE]\n");
    return 2;
  }
  using tokenworks::model::cuda::CudaExecutor;
  auto device = OpenDevice();
  if (!device.ok()) {
    std::printf("%s\n", std::string(device.status().message()).c_str());
    return 3;
  }
  const std::string name = (*device)->info().name;
  const auto begin = tokenworks::bench::Clock::now();
  auto executor =
      CudaExecutor::Create({.model_path = argv[1], .kv_bytes = kSmall ? uint64_t{64} << 20 : 0}, std::move(*device));
  if (!executor.ok()) {
    std::printf("%s\n", std::string(executor.status().message()).c_str());
    return 1;
  }
  std::printf("%s on %s, ready after %.2f s\n", (*executor)->info().model_name.c_str(), name.c_str(),
              tokenworks::bench::Seconds(begin));
  tokenworks::bench::Driver driver(**executor, kSmall);
  if (std::strcmp(argv[2], "logits") == 0 && argc > 3) return driver.WriteLogits(argv[3]);
  if (std::strcmp(argv[2], "handoff") == 0) return CheckHandoff(argv[1], **executor);
  return driver.MeasureSpeed(argc > 4 ? argv[4] : "");
}
