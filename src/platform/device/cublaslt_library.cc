// SPDX-License-Identifier: Apache-2.0
#include "platform/device/cublaslt_library.h"

#include <dlfcn.h>

#include <string>

#include "platform/device/requirements.h"

namespace tokenworks::device {
namespace {

// Another version in the places where this one was looked for.
void FindOther(MatrixLibraryFacts* facts) {
  for (const char* name : {"libcublasLt.so.14", "libcublasLt.so.12", "libcublasLt.so.11"}) {
    void* const handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (!handle) continue;
    facts->other = name;
    const auto version = reinterpret_cast<decltype(&::cublasLtGetVersion)>(dlsym(handle, "cublasLtGetVersion"));
    if (version) facts->other_version = version();
    dlclose(handle);
    return;
  }
}

}  // namespace

StatusOr<std::unique_ptr<CublasLtLibrary>> CublasLtLibrary::Open() {
  auto library = std::make_unique<CublasLtLibrary>();
  MatrixLibraryFacts facts;
  void* const handle = dlopen("libcublasLt.so.13", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    facts.open_error = dlerror();
    FindOther(&facts);
    return CheckMatrixLibrary(facts);
  }
  const auto load = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
    if (!function && facts.missing.empty()) facts.missing = name;
  };
  load(library->GetVersion, "cublasLtGetVersion");
  load(library->Create, "cublasLtCreate");
  load(library->Destroy, "cublasLtDestroy");
  load(library->Matmul, "cublasLtMatmul");
  load(library->Heuristic, "cublasLtMatmulAlgoGetHeuristic");
  load(library->AlgoCheck, "cublasLtMatmulAlgoCheck");
  load(library->DescCreate, "cublasLtMatmulDescCreate");
  load(library->DescDestroy, "cublasLtMatmulDescDestroy");
  load(library->DescSet, "cublasLtMatmulDescSetAttribute");
  load(library->LayoutCreate, "cublasLtMatrixLayoutCreate");
  load(library->LayoutDestroy, "cublasLtMatrixLayoutDestroy");
  load(library->PreferenceCreate, "cublasLtMatmulPreferenceCreate");
  load(library->PreferenceDestroy, "cublasLtMatmulPreferenceDestroy");
  load(library->PreferenceSet, "cublasLtMatmulPreferenceSetAttribute");
  if (library->GetVersion) facts.version = library->GetVersion();
  TW_RETURN_IF_ERROR(CheckMatrixLibrary(facts));
  if (const Status made = CheckedCublasLt(library->Create(&library->lt), "creating a handle"); !made.ok())
    return absl::InternalError(std::string(made.message()) + ": see what nvidia-smi says, or use pools.*.device: cpu");
  return library;
}

CublasLtLibrary::~CublasLtLibrary() {
  if (lt) Destroy(lt);
}

Status CheckedCublasLt(cublasStatus_t status, const char* what) {
  return status == CUBLAS_STATUS_SUCCESS
             ? OkStatus()
             : absl::InternalError(std::string("cuBLASLt, ") + what + ": status " + std::to_string(status));
}

}  // namespace tokenworks::device
