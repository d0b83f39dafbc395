// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda_loader/cuda_library.h"

#include <dlfcn.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "engine/model/cuda_loader/plan_view.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model {
namespace {

using base::StrCat;

Status StatusOf(const TwStatus& s) { return Status(static_cast<StatusCode>(s.code), s.message); }

// More than a host has: asking ends, whatever a library answers.
constexpr int kDevicesMax = 64;

ExecutorInfo InfoOf(const TwInfo& in, int device) {
  ExecutorInfo out;
  out.model_name = in.model_name;
  out.weight_digest = in.weight_digest;
  out.numerics_id = in.numerics_id;
  out.device = StrCat("cuda:", device);
  out.vocabulary = in.vocabulary;
  out.context_length = in.context_length;
  out.end_tokens.assign(in.end_tokens.data, in.end_tokens.data + in.end_tokens.size);
  out.kv_layout = AttentionKvLayout(in.layers, in.kv_heads, in.head_dim, KvDtype::kBf16, in.inner_order);
  out.kv_blocks = in.kv_blocks;
  out.layer_group_layers = in.layer_group_layers;
  out.layer_groups = (in.layers + in.layer_group_layers - 1) / in.layer_group_layers;
  out.depth = in.depth;
  out.row_quantum = in.row_quantum;
  return out;
}

TwInts ViewOf(std::span<const BlockId> blocks) { return {blocks.data(), static_cast<int32_t>(blocks.size())}; }

class LibraryExecutor final : public Executor {
 public:
  LibraryExecutor(const TwCudaApi& api, TwExecutor* executor, int device) : api_(api), executor_(executor) {
    TwInfo info;
    api_.info(executor_, &info);
    info_ = InfoOf(info, device);
  }
  ~LibraryExecutor() override { api_.destroy(executor_); }

  const ExecutorInfo& info() const override { return info_; }

  void SetLayerGroupListener(LayerGroupListener listener) override {
    listener_ = std::move(listener);
    const auto call = [](void* self, uint64_t plan, int32_t group) {
      static_cast<LibraryExecutor*>(self)->listener_(plan, group);
    };
    api_.set_layer_group_listener(executor_, call, this);
  }

  Status Submit(StepPlan plan) override {
    TwStatus status;
    return api_.submit(executor_, PlanView(plan).get(), &status) == 0 ? OkStatus() : StatusOf(status);
  }

  StatusOr<StepResult> Collect() override {
    TwStatus status;
    TwResult in;
    if (api_.collect(executor_, &in, &status) != 0) return StatusOf(status);
    StepResult out{in.plan, {}, std::chrono::nanoseconds(in.duration_ns)};
    for (int32_t i = 0; i < in.samples_size; ++i) {
      const TwSample& s = in.samples[i];
      SampledToken token{s.token.token, s.token.value, {}};
      for (int32_t k = 0; k < s.top_size; ++k) token.top.push_back({s.top[k].token, s.top[k].value});
      out.samples.push_back({{{s.sequence.request}, s.sequence.index}, {std::move(token)}});
    }
    return out;
  }

  Status CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                       std::span<std::byte> out) const override {
    TwStatus status;
    const int32_t code =
        api_.copy_blocks_out(executor_, ViewOf(blocks), first_layer, layers, out.data(), out.size(), &status);
    return code == 0 ? OkStatus() : StatusOf(status);
  }
  Status CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                      std::span<const std::byte> in) override {
    TwStatus status;
    const int32_t code =
        api_.copy_blocks_in(executor_, ViewOf(blocks), first_layer, layers, in.data(), in.size(), &status);
    return code == 0 ? OkStatus() : StatusOf(status);
  }
  void Pin(std::span<std::byte> memory) override { api_.pin(executor_, memory.data(), memory.size()); }
  void Unpin(std::span<std::byte> memory) override { api_.unpin(executor_, memory.data(), memory.size()); }

 private:
  const TwCudaApi& api_;
  TwExecutor* const executor_;
  ExecutorInfo info_;
  LayerGroupListener listener_;
};

}  // namespace

StatusOr<CudaLibrary> CudaLibrary::Open() {
  if (const char* path = std::getenv("TOKENWORKS_CUDA_LIBRARY"); path && *path) return Open(path);
  std::error_code error;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", error);
  return Open((binary.parent_path() / "libtokenworks_cuda.so").string());
}

StatusOr<CudaLibrary> CudaLibrary::Open(const std::string& path) {
  if (!std::filesystem::exists(path))
    return absl::NotFoundError(StrCat("this build has no GPU library (", path,
                                      " is not there): build it with ./tokenworks cuda, or use pools.*.device: cpu"));
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    return absl::NotFoundError(StrCat("opening the GPU library: ", dlerror(), "; use pools.*.device: cpu"));
  using Entry = const TwCudaApi* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(handle, TOKENWORKS_CUDA_ENTRY));
  const TwCudaApi* api = entry == nullptr ? nullptr : entry();
  if (api == nullptr || api->abi != TOKENWORKS_CUDA_ABI)
    return absl::FailedPreconditionError(StrCat("the GPU library ", path, " is of version ",
                                                api == nullptr ? 0 : api->abi, ", this binary needs ",
                                                TOKENWORKS_CUDA_ABI, ": build both from the same source"));
  return CudaLibrary(api);
}

StatusOr<CudaDevice> CudaLibrary::Describe(int device) const {
  TwStatus status;
  TwDevice d;
  if (api_->describe(device, &d, &status) != 0) return StatusOf(status);
  return CudaDevice{device,         d.name,       d.uuid,          d.compute_capability, d.multiprocessors,
                    d.memory_bytes, d.free_bytes, d.context_bytes, d.matrix_library,     d.matrix_library_problem};
}

// Of every device by index; the first one's error (no driver, one that is too old, no device) is the host's.
StatusOr<std::vector<std::string>> CudaLibrary::Uuids() const {
  std::vector<std::string> out;
  for (int i = 0; i < kDevicesMax; ++i) {
    TwStatus status;
    TwDevice d{};
    const bool there = api_->identify(i, &d, &status) == 0;
    if (!there && i == 0) return StatusOf(status);
    if (!there) break;
    out.emplace_back(d.uuid);
  }
  return out;
}

StatusOr<CudaDevices> CudaLibrary::Devices() const {
  TW_ASSIGN_OR_RETURN(const std::vector<std::string> uuids, Uuids());
  CudaDevices out;
  Status first = OkStatus();
  for (size_t i = 0; i < uuids.size(); ++i) {
    StatusOr<CudaDevice> device = Describe(static_cast<int>(i));
    if (device.ok() && !device->matrix_library_problem.empty())
      device = absl::FailedPreconditionError(device->matrix_library_problem);
    if (device.ok()) {
      out.usable.push_back(*std::move(device));
      continue;
    }
    first.Update(device.status());
    out.unusable.push_back(StrCat("device ", i, " is not used: ", std::string(device.status().message())));
  }
  if (out.usable.empty()) return first;
  return out;
}

StatusOr<CudaDevice> CudaLibrary::Find(const std::string& uuid) const {
  TW_ASSIGN_OR_RETURN(const std::vector<std::string> uuids, Uuids());
  std::string others;
  for (size_t i = 0; i < uuids.size(); ++i) {
    if (uuids[i] == uuid) return Describe(static_cast<int>(i));
    others += StrCat("; device ", i, ": ", uuids[i]);
  }
  return absl::NotFoundError(
      StrCat("no GPU of this host has the UUID ", uuid, ": it is gone or hidden from this process", others));
}

namespace {

// Points into `o`.
TwOptions ViewOf(const CudaOptions& o) {
  return {.model_path = o.model_path.c_str(),
          .model_name = o.model_name.c_str(),
          .device = o.device,
          .context_length = o.context_length,
          .layer_group_layers = o.layer_group_layers,
          .rows_max = o.rows_max,
          .samples_max = o.samples_max,
          .kv_bytes = o.kv_bytes,
          .tuning_folder = o.tuning_folder.c_str()};
}

}  // namespace

StatusOr<uint64_t> CudaLibrary::WorkspaceBytes(const CudaOptions& options) const {
  const TwOptions view = ViewOf(options);
  uint64_t bytes = 0;
  TwStatus status;
  if (api_->workspace(&view, &bytes, &status) != 0) return StatusOf(status);
  return bytes;
}

StatusOr<std::unique_ptr<Executor>> CudaLibrary::CreateExecutor(const CudaOptions& o) const {
  const TwOptions options = ViewOf(o);
  TwStatus status;
  TwExecutor* const executor = api_->create(&options, &status);
  if (executor == nullptr) return StatusOf(status);
  return std::make_unique<LibraryExecutor>(*api_, executor, o.device);
}

}  // namespace tokenworks::model
