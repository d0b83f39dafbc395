// SPDX-License-Identifier: Apache-2.0
// gpu_bench STAGE [--json FILE]: info, correctness, ceilings, sweep or steps (the last two measure the ceilings first).
// Built for a GPU and for the host device, where every stage runs on tiny shapes.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

#include "measure.h"

#if defined(TW_BENCH_ON_HOST)
constexpr bool kHost = true;
static tokenworks::StatusOr<std::unique_ptr<tokenworks::device::Device>> OpenDevice() {
  return tokenworks::device::OpenHostDevice();
}
#else
constexpr bool kHost = false;
static tokenworks::StatusOr<std::unique_ptr<tokenworks::device::Device>> OpenDevice() {
  return tokenworks::device::OpenCudaDevice(0);
}
#endif

namespace {

// One line a test, in the bench's format.
class LinePrinter final : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& r) override {
    if (r.failed()) std::printf("%s:%d: %s\n", r.file_name(), r.line_number(), r.message());
  }
  void OnTestEnd(const testing::TestInfo& t) override {
    const testing::TestResult& r = *t.result();
    std::printf("correct %-60s %10.1f us %s\n", (std::string(t.test_suite_name()) + "." + t.name()).c_str(),
                1e3 * static_cast<double>(r.elapsed_time()),
                r.Skipped()  ? "SKIPPED"
                : r.Passed() ? "ok"
                             : "WRONG");
    std::fflush(stdout);
  }
};

int Correctness(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new LinePrinter);
  return RUN_ALL_TESTS();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: gpu_bench info|correctness|ceilings|sweep|steps [--json FILE]\n");
    return 2;
  }
  const std::string stage = argv[1];
  std::string json;
  if (argc > 3 && std::strcmp(argv[2], "--json") == 0) json = argv[3];
  auto device = OpenDevice();
  if (!device.ok()) {
    std::printf("%s\n", std::string(device.status().message()).c_str());
    return 3;
  }
  const tokenworks::device::DeviceInfo& info = (*device)->info();
  std::printf("%s: %s, %d SMs, %.1f GiB free, L2 %.0f MiB, driver %s, %s\n", stage.c_str(), info.name.c_str(),
              info.multiprocessors, static_cast<double>(info.free_bytes) / (1 << 30),
              static_cast<double>(info.l2_bytes) / (1 << 20), info.driver.c_str(), info.matrix_library.c_str());
  std::fflush(stdout);
  if (stage == "info") return 0;
  if (stage == "correctness") return Correctness(argc - 1, argv + 1);
  tokenworks::bench::Bench bench(**device, kHost, json);
  tokenworks::bench::MeasureCeilings(bench);
  if (stage == "sweep") tokenworks::bench::SweepKernels(bench);
  if (stage == "steps") tokenworks::bench::MeasureSteps(bench);
  return bench.all_ok() ? 0 : 1;
}
