// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include <cstdio>

#include "platform/device/cublaslt_gemm.h"
#include "platform/device/device.h"

namespace tokenworks::device {
namespace {

Status Checked(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return OkStatus();
  const std::string text = std::string(what) + ": " + cudaGetErrorString(error);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not sticky: the next call must not report it again
    return absl::ResourceExhaustedError(text);
  }
  const bool gone = error == cudaErrorIllegalAddress || error == cudaErrorECCUncorrectable ||
                    error == cudaErrorLaunchFailure || error == cudaErrorMisalignedAddress ||
                    error == cudaErrorIllegalInstruction || error == cudaErrorAssert;
  return gone ? absl::DataLossError(text) : absl::InternalError(text);
}

// The runtime keeps one device a thread, at first 0: a stream takes kernels only from threads that have selected its
// own.
thread_local int selected = -1;

cudaError_t Select(int index) {
  if (selected == index) return cudaSuccess;
  const cudaError_t error = cudaSetDevice(index);
  if (error == cudaSuccess) selected = index;
  return error;
}

cudaStream_t Raw(Stream s) { return static_cast<cudaStream_t>(s.handle); }
cudaEvent_t Raw(Event e) { return static_cast<cudaEvent_t>(e.handle); }
cudaGraphExec_t Raw(Graph g) { return static_cast<cudaGraphExec_t>(g.handle); }

class CudaDevice final : public Device {
 public:
  CudaDevice(int index, DeviceInfo info) : index_(index), info_(std::move(info)) {
    info_.matrix_library = gemm_.Describe();
  }
  const DeviceInfo& info() const override { return info_; }

  StatusOr<void*> Allocate(size_t bytes) override {
    Select();
    void* p = nullptr;
    TW_RETURN_IF_ERROR(Checked(cudaMalloc(&p, bytes), "allocating device memory"));
    return p;
  }
  StatusOr<void*> AllocatePinned(size_t bytes) override {
    Select();
    void* p = nullptr;
    TW_RETURN_IF_ERROR(Checked(cudaMallocHost(&p, bytes), "allocating pinned memory"));
    return p;
  }
  void Free(void* memory) override { cudaFree(memory); }
  void FreePinned(void* memory) override { cudaFreeHost(memory); }

  StatusOr<Stream> CreateStream() override {
    Select();
    cudaStream_t s = nullptr;
    TW_RETURN_IF_ERROR(Checked(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "creating a stream"));
    return Stream{s};
  }
  void Destroy(Stream stream) override { cudaStreamDestroy(Raw(stream)); }
  Status Synchronize(Stream stream) override {
    Select();
    return Checked(cudaStreamSynchronize(Raw(stream)), "waiting for the stream");
  }

  StatusOr<Event> CreateEvent() override {
    Select();
    cudaEvent_t e = nullptr;
    TW_RETURN_IF_ERROR(Checked(cudaEventCreate(&e), "creating an event"));
    return Event{e};
  }
  void Destroy(Event event) override { cudaEventDestroy(Raw(event)); }
  Status Record(Event event, Stream stream) override {
    Select();
    return Checked(cudaEventRecord(Raw(event), Raw(stream)), "recording an event");
  }
  Status Wait(Event event) override {
    Select();
    return Checked(cudaEventSynchronize(Raw(event)), "waiting for a step");
  }
  StatusOr<double> ElapsedMicroseconds(Event from, Event to) override {
    float ms = 0;
    TW_RETURN_IF_ERROR(Checked(cudaEventElapsedTime(&ms, Raw(from), Raw(to)), "reading a time"));
    return ms * 1e3;
  }

  Status Copy(void* to, const void* from, size_t bytes, Stream stream) override {
    Select();
    return Checked(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, Raw(stream)), "copying");
  }
  Status Fill(void* memory, uint8_t value, size_t bytes, Stream stream) override {
    Select();
    return Checked(cudaMemsetAsync(memory, value, bytes, Raw(stream)), "filling");
  }

  Status TuneGemm(const GemmArgs& args, int tries, Stream stream) override {
    Select();
    return gemm_.Tune(args, tries, stream.handle);
  }
  Status Gemm(const GemmArgs& args, Stream stream) override {
    Select();
    return gemm_.Run(args, stream.handle);
  }

  StatusOr<Graph> Capture(Stream stream, const std::function<Status()>& work) override {
    Select();
    TW_RETURN_IF_ERROR(
        Checked(cudaStreamBeginCapture(Raw(stream), cudaStreamCaptureModeThreadLocal), "starting a capture"));
    const Status worked = work();
    cudaGraph_t graph = nullptr;
    const Status ended = Checked(cudaStreamEndCapture(Raw(stream), &graph), "ending a capture");
    TW_RETURN_IF_ERROR(worked);
    TW_RETURN_IF_ERROR(ended);
    cudaGraphExec_t ready = nullptr;
    const Status made = Checked(cudaGraphInstantiate(&ready, graph, 0), "instantiating a graph");
    cudaGraphDestroy(graph);
    TW_RETURN_IF_ERROR(made);
    return Graph{ready};
  }
  Status Launch(Graph graph, Stream stream) override {
    Select();
    return Checked(cudaGraphLaunch(Raw(graph), Raw(stream)), "launching a graph");
  }
  void Destroy(Graph graph) override { cudaGraphExecDestroy(Raw(graph)); }

 private:
  // Of the calling thread. What fails here fails in the call after it too, which says so.
  void Select() const { (void)device::Select(index_); }

  const int index_;
  DeviceInfo info_;
  CublasLtGemm gemm_;
};

}  // namespace

void ReleaseCudaDevice() {
  cudaDeviceReset();
  selected = -1;
}

namespace {

// As the driver's tools write it.
std::string UuidOf(const cudaDeviceProp& p) {
  std::string out = "GPU-";
  char hex[4];
  for (int i = 0; i < 16; ++i) {
    std::snprintf(hex, sizeof(hex), "%02x", static_cast<unsigned char>(p.uuid.bytes[i]));
    out += hex;
    if (i == 3 || i == 5 || i == 7 || i == 9) out += '-';
  }
  return out;
}

}  // namespace

StatusOr<std::unique_ptr<Device>> OpenCudaDevice(int index) {
  int count = 0, driver = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || index >= count)
    return absl::NotFoundError("no CUDA device " + std::to_string(index) + " (" +
                               (error != cudaSuccess ? cudaGetErrorString(error) : std::to_string(count) + " found") +
                               "): install an NVIDIA driver of at least 580, or use device: cpu");
  cudaDeviceProp p{};
  TW_RETURN_IF_ERROR(Checked(cudaGetDeviceProperties(&p, index), "reading the device's properties"));
  const int capability = p.major * 10 + p.minor;
  if (capability != 80 && capability != 90)
    return absl::FailedPreconditionError(std::string(p.name) + " is sm_" + std::to_string(capability) +
                                         "; this build has kernels for sm_80 and sm_90");
  TW_RETURN_IF_ERROR(Checked(Select(index), "selecting the device"));
  DeviceInfo info{.name = p.name,
                  .uuid = UuidOf(p),
                  .multiprocessors = p.multiProcessorCount,
                  .compute_capability = capability,
                  .l2_bytes = static_cast<size_t>(p.l2CacheSize)};
  TW_RETURN_IF_ERROR(Checked(cudaMemGetInfo(&info.free_bytes, &info.memory_bytes), "reading the device's memory"));
  cudaDriverGetVersion(&driver);
  info.driver = std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10);
  return std::make_unique<CudaDevice>(index, std::move(info));
}

}  // namespace tokenworks::device
