// SPDX-License-Identifier: Apache-2.0
// Timing on a device, and the result lines and JSON of the GPU bench.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "platform/device/buffer.h"

namespace tokenworks::bench {

// What was measured; rates follow from bytes and flops, the percentage from the ceiling that binds.
struct Result {
  std::string name, size;
  double microseconds = 0, bytes = 0, flops = 0;
  double percent = 0;
  bool ok = true;
};

// Ceilings measured in the same run: bytes/s read, bytes/s read + written, flop/s sustained.
struct Ceilings {
  double read = 0, copy = 0, gemm = 0;
};

class Bench {
 public:
  Bench(device::Device& device, bool small, std::string json_path);

  device::Device& device() { return device_; }
  device::Stream stream() const { return stream_; }
  bool small() const { return small_; }  // tiny shapes: a dry run on the host device
  Ceilings& ceilings() { return ceilings_; }

  // Ends the program with the sentence: a bench without its device has nothing to say.
  void Check(const Status& status);

  // Random bf16 values, uniform in (-spread, spread), made on the host in part and repeated.
  device::Buffer<Bf16> RandomBf16(size_t n, float spread = 1.0f);
  template <class T>
  device::Buffer<T> Upload(const std::vector<T>& v) {
    device::Buffer<T> b = Allocate<T>(v.size());
    Check(b.Upload(v, stream_));
    Check(device_.Synchronize(stream_));
    return b;
  }
  // Poisoned: NaN in every float type.
  template <class T>
  device::Buffer<T> Allocate(size_t n) {
    auto b = device::Buffer<T>::Create(device_, n);
    Check(b.status());
    Check(device_.Fill(b->data(), 0xff, b->bytes(), stream_));
    return std::move(*b);
  }

  // Median microseconds of one call of work(i): a graph of `inner` calls i = 0 .. inner - 1 (rotate buffers by i),
  // three warm-ups, `repeats` timed replays.
  double Median(int inner, int repeats, const std::function<void(int)>& work);
  // Mean microseconds over at least `seconds` of uninterrupted replays: the figure under the power cap.
  double Sustained(double seconds, int inner, const std::function<void(int)>& work);

  // Prints the line at once and keeps it for the JSON; percent is filled in if a ceiling is known.
  void Report(Result result);
  void WriteJson() const;
  bool all_ok() const { return all_ok_; }

  // Share of finite values in a downloaded sample of `buffer` is whole.
  bool Finite(const device::Buffer<Bf16>& buffer, size_t n);

 private:
  device::Graph Record(int inner, const std::function<void(int)>& work);
  double Time(device::Graph graph, int launches);

  device::Device& device_;
  device::Stream stream_;
  device::Event from_, to_;
  const bool small_;
  const std::string json_path_;
  Ceilings ceilings_;
  std::vector<Result> results_;
  bool all_ok_ = true;
};

void MeasureCeilings(Bench& bench);
void SweepKernels(Bench& bench);
void MeasureSteps(Bench& bench);

}  // namespace tokenworks::bench
