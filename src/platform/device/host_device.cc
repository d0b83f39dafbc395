// SPDX-License-Identifier: Apache-2.0
// The device that is the host: streams are threads (host_stream.h), memory is the host's, products are plain loops.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

#include "platform/device/device.h"
#include "platform/device/host_stream.h"

namespace tokenworks::device {
namespace {

using Clock = std::chrono::steady_clock;

struct HostEvent {
  HostStream* stream = nullptr;  // of the last Record
  uint64_t after = 0;            // so much of it
  Clock::time_point passed;      // written on the stream
};

using HostGraph = std::vector<HostStream::Work>;

HostStream* Raw(Stream s) { return static_cast<HostStream*>(s.handle); }
HostEvent* Raw(Event e) { return static_cast<HostEvent*>(e.handle); }

void Multiply(const GemmArgs& a) {
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
}

// Memory that a device reads on its own: its own and what is pinned.
class KnownMemory {
 public:
  void Add(const void* memory, size_t bytes) {
    std::lock_guard lock(mutex_);
    ranges_[memory] = bytes;
  }
  // Its size.
  size_t Remove(const void* memory) {
    std::lock_guard lock(mutex_);
    const auto range = ranges_.extract(memory);
    return range.empty() ? 0 : range.mapped();
  }
  bool Contains(const void* memory) const {
    std::lock_guard lock(mutex_);
    const auto after = ranges_.upper_bound(memory);
    if (after == ranges_.begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    return static_cast<const std::byte*>(memory) < static_cast<const std::byte*>(begin) + bytes;
  }

 private:
  mutable std::mutex mutex_;
  std::map<const void*, size_t> ranges_;
};

class HostDevice final : public Device {
 public:
  explicit HostDevice(HostDeviceOptions options) : late_(options.late), faults_after_(options.faults_after) {
    info_.name = "host";
    info_.uuid = "GPU-host-" + std::to_string(options.index);
    info_.matrix_library_status = std::move(options.matrix_library);
    info_.multiprocessors = 4;
    info_.memory_bytes = info_.free_bytes = size_t{1} << 30;
    info_.l2_bytes = size_t{1} << 16;
  }
  const DeviceInfo& info() const override { return info_; }
  void Use() override {}

  StatusOr<void*> Allocate(size_t bytes) override {
    if (allocated_ + bytes > info_.memory_bytes)
      return absl::ResourceExhaustedError("the host device's memory is full");
    TW_ASSIGN_OR_RETURN(void* const p, AllocatePinned(bytes));
    allocated_ += bytes;
    return p;
  }
  StatusOr<void*> AllocatePinned(size_t bytes) override {
    void* p = std::aligned_alloc(256, (bytes + 511) / 256 * 256);
    if (!p) return absl::ResourceExhaustedError("host memory");
    std::memset(p, 0xff, bytes);
    known_.Add(p, bytes);
    return p;
  }
  void Free(void* memory) override {
    allocated_ -= known_.Remove(memory);
    std::free(memory);
  }
  void FreePinned(void* memory) override {
    known_.Remove(memory);
    std::free(memory);
  }
  Status Pin(std::span<std::byte> memory) override {
    known_.Add(memory.data(), memory.size());
    return OkStatus();
  }
  void Unpin(std::span<std::byte> memory) override { known_.Remove(memory.data()); }

  StatusOr<Stream> CreateStream() override { return Stream{new HostStream(late_)}; }
  void Destroy(Stream stream) override { delete Raw(stream); }
  Status Synchronize(Stream stream) override {
    if (HostStream* s = Raw(stream)) s->Wait(s->enqueued());
    return Health();
  }

  StatusOr<Event> CreateEvent() override { return Event{new HostEvent}; }
  void Destroy(Event event) override { delete Raw(event); }
  Status Record(Event event, Stream stream) override {
    TW_RETURN_IF_ERROR(Health());
    HostEvent* const e = Raw(event);
    Do(stream, [e] { e->passed = Clock::now(); });
    e->stream = Raw(stream);
    e->after = e->stream ? e->stream->enqueued() : 0;
    return OkStatus();
  }
  Status Wait(Event event) override {
    if (HostStream* s = Raw(event)->stream) s->Wait(Raw(event)->after);
    ++waits_;
    return Health();
  }
  StatusOr<double> ElapsedMicroseconds(Event from, Event to) override {
    return std::chrono::duration<double, std::micro>(Raw(to)->passed - Raw(from)->passed).count();
  }

  Status Copy(void* to, const void* from, size_t bytes, Stream stream) override {
    if (bytes == 0) return OkStatus();
    TW_RETURN_IF_ERROR(Health());
    Do(stream, [=] { std::memmove(to, from, bytes); });
    return known_.Contains(to) && known_.Contains(from) ? OkStatus() : Synchronize(stream);
  }
  Status Fill(void* memory, uint8_t value, size_t bytes, Stream stream) override {
    TW_RETURN_IF_ERROR(Health());
    Do(stream, [=] { std::memset(memory, value, bytes); });
    return OkStatus();
  }

  Status TuneGemm(const GemmArgs& args, int, Stream stream) override { return Gemm(args, stream); }
  Status SaveTuning() override { return OkStatus(); }
  Status Gemm(const GemmArgs& args, Stream stream) override {
    TW_RETURN_IF_ERROR(Health());
    Do(stream, [args] { Multiply(args); });
    return OkStatus();
  }

  StatusOr<Graph> Capture(Stream stream, const std::function<Status()>& work) override {
    Raw(stream)->BeginCapture();
    const Status worked = work();
    auto graph = std::make_unique<HostGraph>(Raw(stream)->EndCapture());
    TW_RETURN_IF_ERROR(worked);
    return Graph{graph.release()};
  }
  Status Launch(Graph graph, Stream stream) override {
    TW_RETURN_IF_ERROR(Health());
    for (const HostStream::Work& work : *static_cast<HostGraph*>(graph.handle)) Do(stream, work);
    return OkStatus();
  }
  void Destroy(Graph graph) override { delete static_cast<HostGraph*>(graph.handle); }

 private:
  // Without a stream at once.
  static void Do(Stream stream, HostStream::Work work) {
    if (HostStream* s = Raw(stream))
      s->Enqueue(std::move(work));
    else
      work();
  }

  Status Health() const {
    if (faults_after_ == 0 || waits_ < faults_after_) return OkStatus();
    return absl::DataLossError("the host device has faulted, as it was told to");
  }

  const bool late_;
  const int faults_after_;
  std::atomic<int> waits_ = 0;
  std::atomic<size_t> allocated_ = 0;
  DeviceInfo info_;
  KnownMemory known_;
};

}  // namespace

std::unique_ptr<Device> OpenHostDevice(HostDeviceOptions options) {
  return std::make_unique<HostDevice>(std::move(options));
}

}  // namespace tokenworks::device
