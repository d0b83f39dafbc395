// SPDX-License-Identifier: Apache-2.0
// The seam to an accelerator: memory, streams, events, copies, matrix products, graphs. Two implementations: CUDA
// (cuda_device.cc) and the host (host_device.cc), where streams are threads. Kernels are launched on a stream's
// handle by their own functions (kernels/*).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "kernels/simt/bf16.h"
#include "tokenworks/status.h"

namespace tokenworks::device {

struct DeviceInfo {
  std::string name, uuid, driver, matrix_library;  // the last two empty on the host
  Status matrix_library_status;                    // why there are no matrix products; ok on the host
  int multiprocessors = 0;
  int compute_capability = 0;  // 90 for sm_90
  size_t memory_bytes = 0, free_bytes = 0, l2_bytes = 0;
};

// Handles: a cudaStream_t, cudaEvent_t or cudaGraphExec_t; made and destroyed by one device.
struct Stream {
  void* handle = nullptr;
};
struct Event {
  void* handle = nullptr;
};
struct Graph {
  void* handle = nullptr;
};

// y[rows][outputs] = x[rows][inputs] * weight[outputs][inputs]^T, plus y if `accumulate`; bf16 with float sums.
struct GemmArgs {
  const Bf16* x = nullptr;
  const Bf16* weight = nullptr;
  Bf16* y = nullptr;
  float* y_float = nullptr;  // written instead of y when not null
  int rows = 0, outputs = 0, inputs = 0;
  bool accumulate = false;
};

// Thread: one thread at a time; another may Copy, Synchronize and launch on a stream of its own, Pin and Unpin. Errors:
// Internal with the runtime's sentence; ResourceExhausted for memory; after DataLoss (the device is gone or a kernel
// faulted) nothing works any more.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  // The calling thread means this device from here on; each thread says so before anything else, and again after it has
  // used another device.
  virtual void Use() = 0;

  // Aligned to 256 bytes, contents undefined. Pinned memory is the host's, readable by kernels.
  virtual StatusOr<void*> Allocate(size_t bytes) = 0;
  virtual StatusOr<void*> AllocatePinned(size_t bytes) = 0;
  virtual void Free(void* memory) = 0;
  virtual void FreePinned(void* memory) = 0;
  // Makes host memory that is there already pinned, until Unpin; both ends on any boundary. Errors: Internal where the
  // host does not allow it.
  virtual Status Pin(std::span<std::byte> memory) = 0;
  virtual void Unpin(std::span<std::byte> memory) = 0;

  virtual StatusOr<Stream> CreateStream() = 0;
  virtual void Destroy(Stream stream) = 0;
  // Waits for all enqueued work and reports what failed in it.
  virtual Status Synchronize(Stream stream) = 0;

  virtual StatusOr<Event> CreateEvent() = 0;
  virtual void Destroy(Event event) = 0;
  virtual Status Record(Event event, Stream stream) = 0;
  // Waits until the stream has passed the event's last Record; reports what failed before it.
  virtual Status Wait(Event event) = 0;
  // Both recorded and passed.
  virtual StatusOr<double> ElapsedMicroseconds(Event from, Event to) = 0;

  // Between any two of device, pinned and plain host memory; with plain memory it returns when done.
  virtual Status Copy(void* to, const void* from, size_t bytes, Stream stream) = 0;
  virtual Status Fill(void* memory, uint8_t value, size_t bytes, Stream stream) = 0;

  // Keeps the algorithm that is known for this shape, or times the library's best ones on the given buffers, at most
  // `tries`, and keeps the fastest. Overwrites y. Gemm uses the first suggestion for shapes that were never tuned.
  virtual Status TuneGemm(const GemmArgs& args, int tries, Stream stream) = 0;
  // Keeps what was timed for the next start, where a folder was given. After an error this start is as good as ever.
  virtual Status SaveTuning() = 0;
  virtual Status Gemm(const GemmArgs& args, Stream stream) = 0;

  // Records what `work` enqueues on `stream`, without running it; Launch runs it. Buffers must outlive the graph.
  virtual StatusOr<Graph> Capture(Stream stream, const std::function<Status()>& work) = 0;
  virtual Status Launch(Graph graph, Stream stream) = 0;
  virtual void Destroy(Graph graph) = 0;
};

// Errors: NotFound without a driver or device, FailedPrecondition for one older than sm_80; the sentence says what to
// do. Without a matrix library it opens and its info says so. Tuned algorithms are kept in `tuning_folder`, shared by
// all that give the same one; empty: they are not.
StatusOr<std::unique_ptr<Device>> OpenCudaDevice(int index, const std::string& tuning_folder = "");
// Name, UUID, multiprocessors and compute capability alone; makes no context. Errors: as OpenCudaDevice's, but any
// architecture is named.
StatusOr<DeviceInfo> IdentifyCudaDevice(int index);
// Ends this process's context on the device that this thread opened last; no Device of it may be left.
void ReleaseCudaDevice();

struct HostDeviceOptions {
  int index = 0;          // any number of devices are all this host, each with a made-up UUID
  Status matrix_library;  // what its info says of one
  bool late = false;      // streams start nothing before somebody waits for it
  int faults_after = 0;   // after so many waits for events everything is DataLoss, as on a GPU that faulted; 0: never
};
std::unique_ptr<Device> OpenHostDevice(HostDeviceOptions options = {});

}  // namespace tokenworks::device
