// SPDX-License-Identifier: Apache-2.0
// executor_bench MODEL.gguf logits FILE: logits of a fixed text, one row a step, in chunks, and 16 rows a step, for
// torch_reference.py. executor_bench MODEL.gguf speed [--json FILE]: decode, prefill and mixed steps.
#include <cstdio>
#include <cstring>

#include "executor_driver.h"

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

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: executor_bench MODEL.gguf logits FILE | speed [--json FILE]\n");
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
  return driver.MeasureSpeed(argc > 4 ? argv[4] : "");
}
