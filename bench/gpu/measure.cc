// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace tokenworks::bench {

Bench::Bench(device::Device& device, bool small, std::string json_path)
    : device_(device), small_(small), json_path_(std::move(json_path)) {
  const auto stream = device_.CreateStream();
  Check(stream.status());
  stream_ = *stream;
  for (device::Event* e : {&from_, &to_}) {
    const auto event = device_.CreateEvent();
    Check(event.status());
    *e = *event;
  }
}

void Bench::Check(const Status& status) {
  if (status.ok()) return;
  std::printf("FAILED: %s\n", std::string(status.message()).c_str());
  WriteJson();
  std::exit(1);
}

device::Buffer<Bf16> Bench::RandomBf16(size_t n, float spread) {
  static std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-spread, spread);
  std::vector<Bf16> part(std::min<size_t>(n, (1 << 20) + 8));  // not a power of two: rows differ
  for (Bf16& x : part) x = ToBf16(uniform(random));
  device::Buffer<Bf16> b = Allocate<Bf16>(n);
  for (size_t at = 0; at < n;) {
    // The first part comes from the host, then what is there is doubled.
    const size_t count = std::min(n - at, at == 0 ? part.size() : at);
    Check(device_.Copy(b.data() + at, at == 0 ? part.data() : b.data(), count * sizeof(Bf16), stream_));
    at += count;
  }
  Check(device_.Synchronize(stream_));
  return b;
}

device::Graph Bench::Record(int inner, const std::function<void(int)>& work) {
  const auto graph = device_.Capture(stream_, [&work, inner] {
    for (int i = 0; i < inner; ++i) work(i);
    return OkStatus();
  });
  Check(graph.status());
  return *graph;
}

double Bench::Time(device::Graph graph, int launches) {
  Check(device_.Record(from_, stream_));
  for (int i = 0; i < launches; ++i) Check(device_.Launch(graph, stream_));
  Check(device_.Record(to_, stream_));
  Check(device_.Synchronize(stream_));
  const auto us = device_.ElapsedMicroseconds(from_, to_);
  Check(us.status());
  return *us;
}

double Bench::Median(int inner, int repeats, const std::function<void(int)>& work) {
  if (small_) inner = 1, repeats = 1;
  const device::Graph graph = Record(inner, work);
  for (int i = 0; i < (small_ ? 0 : 3); ++i) Time(graph, 1);
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) times.push_back(Time(graph, 1) / inner);
  device_.Destroy(graph);
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

double Bench::Sustained(double seconds, int inner, const std::function<void(int)>& work) {
  if (small_) return Median(1, 1, work);
  const device::Graph graph = Record(inner, work);
  const double once = Time(graph, 3) / 3;
  const int launches = std::max(1, static_cast<int>(seconds * 1e6 / once));
  Time(graph, launches);  // heats the card
  const double us = Time(graph, launches) / launches / inner;
  device_.Destroy(graph);
  return us;
}

void Bench::Report(Result r) {
  if (r.percent == 0 && r.microseconds > 0) {
    const double by_bytes = ceilings_.read > 0 ? r.bytes / r.microseconds * 1e6 / ceilings_.read : 0;
    const double by_flops = ceilings_.gemm > 0 ? r.flops / r.microseconds * 1e6 / ceilings_.gemm : 0;
    r.percent = 100 * std::max(by_bytes, by_flops);
  }
  all_ok_ &= r.ok;
  std::printf("%-34s %-26s %10.1f us %8.1f GB/s %7.1f TFLOP/s %6.1f %% %s\n", r.name.c_str(), r.size.c_str(),
              r.microseconds, r.microseconds > 0 ? r.bytes / r.microseconds / 1e3 : 0,
              r.microseconds > 0 ? r.flops / r.microseconds / 1e6 : 0, r.percent, r.ok ? "ok" : "WRONG");
  std::fflush(stdout);
  results_.push_back(std::move(r));
  WriteJson();
}

void Bench::WriteJson() const {
  if (json_path_.empty()) return;
  std::FILE* f = std::fopen(json_path_.c_str(), "w");
  if (!f) return;
  const device::DeviceInfo& d = device_.info();
  std::fprintf(f,
               "{\"device\": \"%s\", \"driver\": \"%s\", \"matrix_library\": \"%s\", \"read_GBps\": %.1f, "
               "\"copy_GBps\": %.1f, \"gemm_TFLOPs\": %.1f, \"results\": [",
               d.name.c_str(), d.driver.c_str(), d.matrix_library.c_str(), ceilings_.read / 1e9, ceilings_.copy / 1e9,
               ceilings_.gemm / 1e12);
  for (size_t i = 0; i < results_.size(); ++i) {
    const Result& r = results_[i];
    std::fprintf(f,
                 "%s\n  {\"name\": \"%s\", \"size\": \"%s\", \"us\": %.2f, \"bytes\": %.0f, \"flops\": %.0f, "
                 "\"percent\": %.1f, \"ok\": %s}",
                 i ? "," : "", r.name.c_str(), r.size.c_str(), r.microseconds, r.bytes, r.flops, r.percent,
                 r.ok ? "true" : "false");
  }
  std::fprintf(f, "\n]}\n");
  std::fclose(f);
}

bool Bench::Finite(const device::Buffer<Bf16>& buffer, size_t n) {
  std::vector<Bf16> v(std::min(n, buffer.size()));
  Check(buffer.Download(v, stream_));
  return std::all_of(v.begin(), v.end(), [](Bf16 x) { return std::isfinite(ToFloat(x)); });
}

}  // namespace tokenworks::bench
