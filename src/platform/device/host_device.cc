// SPDX-License-Identifier: Apache-2.0
// The device that is the host: every call has ended when it returns, a graph is the function that would be captured.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "platform/device/device.h"

namespace tokenworks::device {
namespace {

using Clock = std::chrono::steady_clock;

class HostDevice final : public Device {
 public:
  HostDevice(int index, Status matrix_library) {
    info_.name = "host";
    info_.uuid = "GPU-host-" + std::to_string(index);
    info_.matrix_library_status = std::move(matrix_library);
    info_.multiprocessors = 4;
    info_.memory_bytes = info_.free_bytes = size_t{1} << 30;
    info_.l2_bytes = size_t{1} << 16;
  }
  const DeviceInfo& info() const override { return info_; }
  void Use() override {}

  StatusOr<void*> Allocate(size_t bytes) override {
    void* p = std::aligned_alloc(256, (bytes + 511) / 256 * 256);
    if (!p) return absl::ResourceExhaustedError("host memory");
    std::memset(p, 0xff, bytes);
    return p;
  }
  StatusOr<void*> AllocatePinned(size_t bytes) override { return Allocate(bytes); }
  void Free(void* memory) override { std::free(memory); }
  void FreePinned(void* memory) override { std::free(memory); }
  Status Pin(std::span<std::byte>) override { return OkStatus(); }
  void Unpin(std::span<std::byte>) override {}

  StatusOr<Stream> CreateStream() override { return Stream{}; }
  void Destroy(Stream) override {}
  Status Synchronize(Stream) override { return OkStatus(); }

  StatusOr<Event> CreateEvent() override { return Event{new Clock::time_point}; }
  void Destroy(Event event) override { delete static_cast<Clock::time_point*>(event.handle); }
  Status Record(Event event, Stream) override {
    *static_cast<Clock::time_point*>(event.handle) = Clock::now();
    return OkStatus();
  }
  Status Wait(Event) override { return OkStatus(); }
  StatusOr<double> ElapsedMicroseconds(Event from, Event to) override {
    const auto passed = *static_cast<Clock::time_point*>(to.handle) - *static_cast<Clock::time_point*>(from.handle);
    return std::chrono::duration<double, std::micro>(passed).count();
  }

  Status Copy(void* to, const void* from, size_t bytes, Stream) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
    return OkStatus();
  }
  Status Fill(void* memory, uint8_t value, size_t bytes, Stream) override {
    std::memset(memory, value, bytes);
    return OkStatus();
  }

  Status TuneGemm(const GemmArgs& args, int, Stream stream) override { return Gemm(args, stream); }
  Status SaveTuning() override { return OkStatus(); }
  Status Gemm(const GemmArgs& a, Stream) override {
    for (int64_t row = 0; row < a.rows; ++row)
      for (int64_t o = 0; o < a.outputs; ++o) {
        float sum = 0;
        for (int64_t i = 0; i < a.inputs; ++i)
          sum += ToFloat(a.x[row * a.inputs + i]) * ToFloat(a.weight[o * a.inputs + i]);
        const int64_t at = row * a.outputs + o;
        if (a.y_float)
          a.y_float[at] = a.accumulate ? a.y_float[at] + sum : sum;
        else
          a.y[at] = ToBf16(a.accumulate ? ToFloat(a.y[at]) + sum : sum);
      }
    return OkStatus();
  }

  StatusOr<Graph> Capture(Stream, const std::function<Status()>& work) override {
    return Graph{new std::function<Status()>(work)};
  }
  Status Launch(Graph graph, Stream) override { return (*static_cast<std::function<Status()>*>(graph.handle))(); }
  void Destroy(Graph graph) override { delete static_cast<std::function<Status()>*>(graph.handle); }

 private:
  DeviceInfo info_;
};

}  // namespace

std::unique_ptr<Device> OpenHostDevice(int index, Status matrix_library) {
  return std::make_unique<HostDevice>(index, std::move(matrix_library));
}

}  // namespace tokenworks::device
