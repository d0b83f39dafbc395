// SPDX-License-Identifier: Apache-2.0
#include "platform/device/cublaslt_gemm.h"

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <vector>

namespace tokenworks::device {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;
constexpr int kMaxTries = 16;
constexpr int kTimedRuns = 5;

Status Checked(cublasStatus_t status, const char* what) {
  return status == CUBLAS_STATUS_SUCCESS
             ? OkStatus()
             : absl::InternalError(std::string("cuBLASLt, ") + what + ": status " + std::to_string(status));
}

}  // namespace

// The functions used, under the library's own names.
struct CublasLtGemm::Library {
  void* handle = nullptr;
  cublasLtHandle_t lt = nullptr;
  decltype(&::cublasLtCreate) Create = nullptr;
  decltype(&::cublasLtDestroy) Destroy = nullptr;
  decltype(&::cublasLtGetVersion) GetVersion = nullptr;
  decltype(&::cublasLtMatmul) Matmul = nullptr;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) Heuristic = nullptr;
  decltype(&::cublasLtMatmulDescCreate) DescCreate = nullptr;
  decltype(&::cublasLtMatmulDescDestroy) DescDestroy = nullptr;
  decltype(&::cublasLtMatmulDescSetAttribute) DescSet = nullptr;
  decltype(&::cublasLtMatrixLayoutCreate) LayoutCreate = nullptr;
  decltype(&::cublasLtMatrixLayoutDestroy) LayoutDestroy = nullptr;
  decltype(&::cublasLtMatmulPreferenceCreate) PreferenceCreate = nullptr;
  decltype(&::cublasLtMatmulPreferenceDestroy) PreferenceDestroy = nullptr;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) PreferenceSet = nullptr;
};

// Descriptors of one shape and its algorithms, best first. In the library's column-major terms:
// y^T (outputs x rows) = weight^T (inputs x outputs)^T * x^T (inputs x rows).
struct CublasLtGemm::Plan {
  const Library* library = nullptr;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t weight = nullptr, x = nullptr, y = nullptr;
  std::array<cublasLtMatmulHeuristicResult_t, kMaxTries> algorithms{};
  int count = 0;
  ~Plan() {
    if (desc) library->DescDestroy(desc);
    for (cublasLtMatrixLayout_t l : {weight, x, y})
      if (l) library->LayoutDestroy(l);
  }
};

CublasLtGemm::CublasLtGemm() = default;
CublasLtGemm::~CublasLtGemm() {
  plans_.clear();
  if (workspace_) cudaFree(workspace_);
  if (library_ && library_->lt) library_->Destroy(library_->lt);
}

Status CublasLtGemm::Open() {
  if (library_) return OkStatus();
  auto library = std::make_unique<Library>();
  library->handle = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
  if (!library->handle)
    return absl::NotFoundError(std::string("cuBLASLt 13 is needed for matrix products: ") + dlerror() +
                               "; put its folder on LD_LIBRARY_PATH");
  bool all = true;
  const auto load = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library->handle, name));
    all &= function != nullptr;
  };
  load(library->Create, "cublasLtCreate");
  load(library->Destroy, "cublasLtDestroy");
  load(library->GetVersion, "cublasLtGetVersion");
  load(library->Matmul, "cublasLtMatmul");
  load(library->Heuristic, "cublasLtMatmulAlgoGetHeuristic");
  load(library->DescCreate, "cublasLtMatmulDescCreate");
  load(library->DescDestroy, "cublasLtMatmulDescDestroy");
  load(library->DescSet, "cublasLtMatmulDescSetAttribute");
  load(library->LayoutCreate, "cublasLtMatrixLayoutCreate");
  load(library->LayoutDestroy, "cublasLtMatrixLayoutDestroy");
  load(library->PreferenceCreate, "cublasLtMatmulPreferenceCreate");
  load(library->PreferenceDestroy, "cublasLtMatmulPreferenceDestroy");
  load(library->PreferenceSet, "cublasLtMatmulPreferenceSetAttribute");
  if (!all) return absl::NotFoundError("libcublasLt.so.13 lacks a function: another library of that name?");
  TW_RETURN_IF_ERROR(Checked(library->Create(&library->lt), "creating a handle"));
  if (cudaMalloc(&workspace_, kWorkspaceBytes) != cudaSuccess)
    return absl::ResourceExhaustedError("32 MiB of workspace for matrix products");
  library_ = std::move(library);
  return OkStatus();
}

std::string CublasLtGemm::Describe() {
  const Status opened = Open();
  return opened.ok() ? "cuBLASLt " + std::to_string(library_->GetVersion()) : std::string(opened.message());
}

StatusOr<CublasLtGemm::Plan*> CublasLtGemm::Find(const GemmArgs& a) {
  TW_RETURN_IF_ERROR(Open());
  const Shape shape{a.rows, a.outputs, a.inputs, a.y_float != nullptr, a.accumulate};
  if (const auto known = plans_.find(shape); known != plans_.end()) return known->second.get();
  const Library& lt = *library_;
  auto plan = std::make_unique<Plan>();
  plan->library = library_.get();
  TW_RETURN_IF_ERROR(Checked(lt.DescCreate(&plan->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product"));
  const cublasOperation_t transposed = CUBLAS_OP_T;
  TW_RETURN_IF_ERROR(Checked(lt.DescSet(plan->desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
                             "describing a product"));
  TW_RETURN_IF_ERROR(
      Checked(lt.LayoutCreate(&plan->weight, CUDA_R_16BF, a.inputs, a.outputs, a.inputs), "describing the weights"));
  TW_RETURN_IF_ERROR(
      Checked(lt.LayoutCreate(&plan->x, CUDA_R_16BF, a.inputs, a.rows, a.inputs), "describing the input"));
  TW_RETURN_IF_ERROR(
      Checked(lt.LayoutCreate(&plan->y, a.y_float ? CUDA_R_32F : CUDA_R_16BF, a.outputs, a.rows, a.outputs),
              "describing the output"));
  cublasLtMatmulPreference_t preference = nullptr;
  TW_RETURN_IF_ERROR(Checked(lt.PreferenceCreate(&preference), "stating preferences"));
  lt.PreferenceSet(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspaceBytes, sizeof kWorkspaceBytes);
  const cublasStatus_t asked = lt.Heuristic(lt.lt, plan->desc, plan->weight, plan->x, plan->y, plan->y, preference,
                                            kMaxTries, plan->algorithms.data(), &plan->count);
  lt.PreferenceDestroy(preference);
  TW_RETURN_IF_ERROR(Checked(asked, "choosing an algorithm"));
  if (plan->count == 0) return absl::InternalError("cuBLASLt has no algorithm for a product");
  return (plans_[shape] = std::move(plan)).get();
}

Status CublasLtGemm::Run(const GemmArgs& a, void* stream) {
  StatusOr<Plan*> found = Find(a);
  if (!found.ok()) return found.status();
  const Plan& plan = **found;
  const float one = 1.0f, beta = a.accumulate ? 1.0f : 0.0f;
  void* y = a.y_float ? static_cast<void*>(a.y_float) : a.y;
  return Checked(
      library_->Matmul(library_->lt, plan.desc, &one, a.weight, plan.weight, a.x, plan.x, &beta, y, plan.y, y, plan.y,
                       &plan.algorithms[0].algo, workspace_, kWorkspaceBytes, static_cast<cudaStream_t>(stream)),
      "multiplying");
}

Status CublasLtGemm::Tune(const GemmArgs& a, int tries, void* stream) {
  StatusOr<Plan*> found = Find(a);
  if (!found.ok()) return found.status();
  Plan& plan = **found;
  const cudaStream_t s = static_cast<cudaStream_t>(stream);
  cudaEvent_t from = nullptr, to = nullptr;
  cudaEventCreate(&from), cudaEventCreate(&to);
  int best = 0;
  float best_ms = 0;
  for (int i = 0; i < std::min(tries, plan.count); ++i) {
    std::swap(plan.algorithms[0], plan.algorithms[i]);
    std::vector<float> times;
    bool works = true;
    for (int run = 0; run < kTimedRuns + 1 && works; ++run) {
      cudaEventRecord(from, s);
      works = Run(a, stream).ok();
      cudaEventRecord(to, s);
      cudaEventSynchronize(to);
      float ms = 0;
      cudaEventElapsedTime(&ms, from, to);
      if (run > 0) times.push_back(ms);
    }
    std::swap(plan.algorithms[0], plan.algorithms[i]);
    if (!works) continue;
    std::nth_element(times.begin(), times.begin() + kTimedRuns / 2, times.end());
    if (best_ms == 0 || times[kTimedRuns / 2] < best_ms) best_ms = times[kTimedRuns / 2], best = i;
  }
  std::swap(plan.algorithms[0], plan.algorithms[best]);
  cudaEventDestroy(from), cudaEventDestroy(to);
  return best_ms > 0 ? OkStatus() : absl::InternalError("cuBLASLt: no suggested algorithm ran");
}

}  // namespace tokenworks::device
