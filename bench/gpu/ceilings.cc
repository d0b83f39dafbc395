// SPDX-License-Identifier: Apache-2.0
// What the card can do at most: every other figure is a share of these.
#include <algorithm>

#include "measure.h"
#include "read_stream.h"

namespace tokenworks::bench {

void MeasureCeilings(Bench& b) {
  device::Device& d = b.device();
  const kernels::LaunchContext context{b.stream().handle};
  const size_t bytes = b.small() ? size_t{1} << 20 : size_t{2} << 30;
  const auto data = b.RandomBf16(bytes / 2), other = b.RandomBf16(bytes / 2);
  const auto sink = b.Allocate<unsigned>(65536);
  double best = 0;
  for (const int per : {2, 4}) {
    const double us = b.Median(
        1, 20, [&](int) { ReadStream(context, data.data(), bytes, sink.data(), per * d.info().multiprocessors); });
    best = std::max(best, static_cast<double>(bytes) / us * 1e6);
    b.Report({.name = "ceiling read",
              .size = std::to_string(per) + " blocks an SM",
              .microseconds = us,
              .bytes = double(bytes),
              .percent = 100});
  }
  b.ceilings().read = best;
  const double copy = b.Median(1, 20, [&](int) { b.Check(d.Copy(other.data(), data.data(), bytes, b.stream())); });
  b.ceilings().copy = 2.0 * bytes / copy * 1e6;
  b.Report(
      {.name = "ceiling copy", .size = "read + written", .microseconds = copy, .bytes = 2.0 * bytes, .percent = 100});
  const int n = b.small() ? 32 : 8192;
  const auto x = b.RandomBf16(size_t(n) * n), w = b.RandomBf16(size_t(n) * n), y = b.Allocate<Bf16>(size_t(n) * n);
  const device::GemmArgs gemm{.x = x.data(), .weight = w.data(), .y = y.data(), .rows = n, .outputs = n, .inputs = n};
  b.Check(d.TuneGemm(gemm, 8, b.stream()));
  const auto run = [&](int) { b.Check(d.Gemm(gemm, b.stream())); };
  const double flops = 2.0 * n * n * n, burst = b.Median(1, 20, run);
  b.Report({.name = "ceiling gemm burst",
            .size = std::to_string(n) + "^3",
            .microseconds = burst,
            .flops = flops,
            .percent = 100});
  const double sustained = b.Sustained(1.0, 4, run);
  b.ceilings().gemm = flops / sustained * 1e6;
  b.Report({.name = "ceiling gemm sustained",
            .size = std::to_string(n) + "^3",
            .microseconds = sustained,
            .flops = flops,
            .percent = 100,
            .ok = b.Finite(y, 1 << 16)});
}

}  // namespace tokenworks::bench
