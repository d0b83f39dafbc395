// SPDX-License-Identifier: Apache-2.0
#include "platform/device/cublaslt_gemm.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "platform/device/cublaslt_library.h"

namespace tokenworks::device {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;
constexpr int kMaxTries = 16;
constexpr int kTimedRuns = 5;

GemmShape ShapeOf(const GemmArgs& a) { return {a.rows, a.outputs, a.inputs, a.y_float != nullptr, a.accumulate}; }

}  // namespace

// Descriptors of one shape and its algorithms, best first. In the library's column-major terms:
// y^T (outputs x rows) = weight^T (inputs x outputs)^T * x^T (inputs x rows).
struct CublasLtGemm::Plan {
  const CublasLtLibrary* library = nullptr;
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
}

Status CublasLtGemm::Open() {
  if (library_) return OkStatus();
  TW_ASSIGN_OR_RETURN(std::unique_ptr<CublasLtLibrary> library, CublasLtLibrary::Open());
  if (cudaMalloc(&workspace_, kWorkspaceBytes) != cudaSuccess)
    return absl::ResourceExhaustedError("no 32 MiB of GPU memory are free for the workspace of matrix products");
  library_ = std::move(library);
  return OkStatus();
}

StatusOr<uint64_t> CublasLtGemm::Version() {
  TW_RETURN_IF_ERROR(Open());
  return library_->GetVersion();
}

void CublasLtGemm::KeepTuning(const std::string& folder, TableSubject subject) {
  tuned_ = AlgorithmFile(folder, std::move(subject));
  if (!tuned_.refused().ok())
    std::fprintf(stderr, "matrix products are tuned anew: %s\n", std::string(tuned_.refused().message()).c_str());
}

StatusOr<CublasLtGemm::Plan*> CublasLtGemm::Find(const GemmArgs& a) {
  TW_RETURN_IF_ERROR(Open());
  const GemmShape shape = ShapeOf(a);
  if (const auto known = plans_.find(shape); known != plans_.end()) return known->second.get();
  const CublasLtLibrary& lt = *library_;
  auto plan = std::make_unique<Plan>();
  plan->library = library_.get();
  TW_RETURN_IF_ERROR(
      CheckedCublasLt(lt.DescCreate(&plan->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product"));
  const cublasOperation_t transposed = CUBLAS_OP_T;
  TW_RETURN_IF_ERROR(CheckedCublasLt(
      lt.DescSet(plan->desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed), "describing a product"));
  TW_RETURN_IF_ERROR(CheckedCublasLt(lt.LayoutCreate(&plan->weight, CUDA_R_16BF, a.inputs, a.outputs, a.inputs),
                                     "describing the weights"));
  TW_RETURN_IF_ERROR(
      CheckedCublasLt(lt.LayoutCreate(&plan->x, CUDA_R_16BF, a.inputs, a.rows, a.inputs), "describing the input"));
  TW_RETURN_IF_ERROR(
      CheckedCublasLt(lt.LayoutCreate(&plan->y, a.y_float ? CUDA_R_32F : CUDA_R_16BF, a.outputs, a.rows, a.outputs),
                      "describing the output"));
  cublasLtMatmulPreference_t preference = nullptr;
  TW_RETURN_IF_ERROR(CheckedCublasLt(lt.PreferenceCreate(&preference), "stating preferences"));
  lt.PreferenceSet(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspaceBytes, sizeof kWorkspaceBytes);
  const cublasStatus_t asked = lt.Heuristic(lt.lt, plan->desc, plan->weight, plan->x, plan->y, plan->y, preference,
                                            kMaxTries, plan->algorithms.data(), &plan->count);
  lt.PreferenceDestroy(preference);
  TW_RETURN_IF_ERROR(CheckedCublasLt(asked, "choosing an algorithm"));
  if (plan->count == 0) return absl::InternalError("cuBLASLt has no algorithm for a product");
  return (plans_[shape] = std::move(plan)).get();
}

Status CublasLtGemm::Run(const GemmArgs& a, void* stream) {
  StatusOr<Plan*> found = Find(a);
  if (!found.ok()) return found.status();
  const Plan& plan = **found;
  const float one = 1.0f, beta = a.accumulate ? 1.0f : 0.0f;
  void* y = a.y_float ? static_cast<void*>(a.y_float) : a.y;
  return CheckedCublasLt(
      library_->Matmul(library_->lt, plan.desc, &one, a.weight, plan.weight, a.x, plan.x, &beta, y, plan.y, y, plan.y,
                       &plan.algorithms[0].algo, workspace_, kWorkspaceBytes, static_cast<cudaStream_t>(stream)),
      "multiplying");
}

bool CublasLtGemm::TakeKnown(const GemmArgs& a, Plan& plan, void* stream) {
  const TunedAlgorithm* known = tuned_.Find(ShapeOf(a));
  if (!known) return false;
  cublasLtMatmulHeuristicResult_t taken{};
  static_assert(sizeof taken.algo == sizeof known->bytes);
  std::memcpy(&taken.algo, known->bytes.data(), sizeof taken.algo);
  const cublasLtMatmulAlgo_t algorithm = taken.algo;
  const CublasLtLibrary& lt = *library_;
  if (lt.AlgoCheck(lt.lt, plan.desc, plan.weight, plan.x, plan.y, plan.y, &algorithm, &taken) !=
          CUBLAS_STATUS_SUCCESS ||
      taken.workspaceSize > kWorkspaceBytes)
    return false;
  taken.algo = algorithm;
  const cublasLtMatmulHeuristicResult_t suggested = std::exchange(plan.algorithms[0], taken);
  // The check does not promise that it runs; and a kernel is best loaded before a graph is captured.
  if (Run(a, stream).ok() && cudaStreamSynchronize(static_cast<cudaStream_t>(stream)) == cudaSuccess) return true;
  plan.algorithms[0] = suggested;
  return false;
}

StatusOr<TunedAlgorithm> CublasLtGemm::Measure(const GemmArgs& a, int tries, Plan& plan, void* stream) {
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
  if (best_ms == 0) return absl::InternalError("cuBLASLt: no suggested algorithm ran");
  TunedAlgorithm out{.microseconds = best_ms * 1e3};
  std::memcpy(out.bytes.data(), &plan.algorithms[0].algo, out.bytes.size());
  return out;
}

Status CublasLtGemm::Tune(const GemmArgs& a, int tries, void* stream) {
  TW_ASSIGN_OR_RETURN(Plan * plan, Find(a));
  if (TakeKnown(a, *plan, stream)) return OkStatus();
  TW_ASSIGN_OR_RETURN(const TunedAlgorithm best, Measure(a, tries, *plan, stream));
  tuned_.Remember(ShapeOf(a), best);
  return OkStatus();
}

}  // namespace tokenworks::device
