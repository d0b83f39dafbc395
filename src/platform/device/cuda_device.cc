// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include <cstdio>

#include "platform/device/cublaslt_gemm.h"
#include "platform/device/device.h"
#include "platform/device/requirements.h"

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

cudaStream_t Raw(Stream s) { return static_cast<cudaStream_t>(s.handle); }
cudaEvent_t Raw(Event e) { return static_cast<cudaEvent_t>(e.handle); }
cudaGraphExec_t Raw(Graph g) { return static_cast<cudaGraphExec_t>(g.handle); }

class CudaDevice final : public Device {
 public:
  CudaDevice(int index, DeviceInfo info, const std::string& tuning_folder) : index_(index), info_(std::move(info)) {
    const StatusOr<uint64_t> version = gemm_.Version();
    info_.matrix_library_status = version.status();
    if (!version.ok()) return;
    info_.matrix_library = MatrixLibraryName(*version);
    gemm_.KeepTuning(tuning_folder, {info_.name, info_.compute_capability, *version});
  }
  const DeviceInfo& info() const override { return info_; }
  void Use() override { cudaSetDevice(index_); }

  StatusOr<void*> Allocate(size_t bytes) override {
    void* p = nullptr;
    TW_RETURN_IF_ERROR(Checked(cudaMalloc(&p, bytes), "allocating device memory"));
    return p;
  }
  StatusOr<void*> AllocatePinned(size_t bytes) override {
    void* p = nullptr;
    TW_RETURN_IF_ERROR(Checked(cudaMallocHost(&p, bytes), "allocating pinned memory"));
    return p;
  }
  void Free(void* memory) override { cudaFree(memory); }
  void FreePinned(void* memory) override { cudaFreeHost(memory); }
  Status Pin(std::span<std::byte> memory) override {
    const cudaError_t error = cudaHostRegister(memory.data(), memory.size(), cudaHostRegisterDefault);
    if (error != cudaSuccess) cudaGetLastError();  // nobody else is to hear of it
    return Checked(error, "pinning host memory");
  }
  void Unpin(std::span<std::byte> memory) override {
    if (cudaHostUnregister(memory.data()) != cudaSuccess) cudaGetLastError();
  }

  StatusOr<Stream> CreateStream() override {
    cudaStream_t s = nullptr;
    TW_RETURN_IF_ERROR(Checked(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "creating a stream"));
    return Stream{s};
  }
  void Destroy(Stream stream) override { cudaStreamDestroy(Raw(stream)); }
  Status Synchronize(Stream stream) override {
    return Checked(cudaStreamSynchronize(Raw(stream)), "waiting for the stream");
  }

  StatusOr<Event> CreateEvent() override {
    cudaEvent_t e = nullptr;
    TW_RETURN_IF_ERROR(Checked(cudaEventCreate(&e), "creating an event"));
    return Event{e};
  }
  void Destroy(Event event) override { cudaEventDestroy(Raw(event)); }
  Status Record(Event event, Stream stream) override {
    return Checked(cudaEventRecord(Raw(event), Raw(stream)), "recording an event");
  }
  Status Wait(Event event) override { return Checked(cudaEventSynchronize(Raw(event)), "waiting for a step"); }
  StatusOr<double> ElapsedMicroseconds(Event from, Event to) override {
    float ms = 0;
    TW_RETURN_IF_ERROR(Checked(cudaEventElapsedTime(&ms, Raw(from), Raw(to)), "reading a time"));
    return ms * 1e3;
  }

  Status Copy(void* to, const void* from, size_t bytes, Stream stream) override {
    return Checked(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, Raw(stream)), "copying");
  }
  Status Fill(void* memory, uint8_t value, size_t bytes, Stream stream) override {
    return Checked(cudaMemsetAsync(memory, value, bytes, Raw(stream)), "filling");
  }

  Status TuneGemm(const GemmArgs& args, int tries, Stream stream) override {
    return gemm_.Tune(args, tries, stream.handle);
  }
  Status SaveTuning() override { return gemm_.SaveTuning(); }
  Status Gemm(const GemmArgs& args, Stream stream) override { return gemm_.Run(args, stream.handle); }

  StatusOr<Graph> Capture(Stream stream, const std::function<Status()>& work) override {
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
    return Checked(cudaGraphLaunch(Raw(graph), Raw(stream)), "launching a graph");
  }
  void Destroy(Graph graph) override { cudaGraphExecDestroy(Raw(graph)); }

 private:
  const int index_;
  DeviceInfo info_;
  CublasLtGemm gemm_;
};

}  // namespace

void ReleaseCudaDevice() { cudaDeviceReset(); }

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

StatusOr<DeviceInfo> IdentifyCudaDevice(int index) {
  DriverFacts driver;
  cudaDriverGetVersion(&driver.driver), cudaRuntimeGetVersion(&driver.runtime);
  if (const cudaError_t error = cudaGetDeviceCount(&driver.devices); error == cudaErrorNoDevice)
    driver.devices = 0;
  else if (error != cudaSuccess)
    driver.error = cudaGetErrorString(error);
  TW_RETURN_IF_ERROR(CheckDriver(driver, index));
  cudaDeviceProp p{};
  TW_RETURN_IF_ERROR(Checked(cudaGetDeviceProperties(&p, index), "reading the device's properties"));
  return DeviceInfo{.name = p.name,
                    .uuid = UuidOf(p),
                    .driver = CudaVersion(driver.driver),
                    .multiprocessors = p.multiProcessorCount,
                    .compute_capability = p.major * 10 + p.minor,
                    .l2_bytes = static_cast<size_t>(p.l2CacheSize)};
}

StatusOr<std::unique_ptr<Device>> OpenCudaDevice(int index, const std::string& tuning_folder) {
  TW_ASSIGN_OR_RETURN(DeviceInfo info, IdentifyCudaDevice(index));
  TW_RETURN_IF_ERROR(CheckArchitecture(info.name, info.compute_capability));
  TW_RETURN_IF_ERROR(Checked(cudaSetDevice(index), "selecting the device"));
  TW_RETURN_IF_ERROR(Checked(cudaMemGetInfo(&info.free_bytes, &info.memory_bytes), "reading the device's memory"));
  return std::make_unique<CudaDevice>(index, std::move(info), tuning_folder);
}

}  // namespace tokenworks::device
