// SPDX-License-Identifier: Apache-2.0
// libcublasLt.so.13 by dlopen: the functions used, under the library's own names.
#pragma once

#include <cublasLt.h>

#include <memory>

#include "tokenworks/status.h"

namespace tokenworks::device {

// Holds a handle of the library; one thread at a time.
struct CublasLtLibrary {
  // Errors as in CheckMatrixLibrary; Internal when it gives no handle.
  static StatusOr<std::unique_ptr<CublasLtLibrary>> Open();
  ~CublasLtLibrary();

  cublasLtHandle_t lt = nullptr;
  decltype(&::cublasLtCreate) Create = nullptr;
  decltype(&::cublasLtDestroy) Destroy = nullptr;
  decltype(&::cublasLtGetVersion) GetVersion = nullptr;
  decltype(&::cublasLtMatmul) Matmul = nullptr;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) Heuristic = nullptr;
  decltype(&::cublasLtMatmulAlgoCheck) AlgoCheck = nullptr;
  decltype(&::cublasLtMatmulDescCreate) DescCreate = nullptr;
  decltype(&::cublasLtMatmulDescDestroy) DescDestroy = nullptr;
  decltype(&::cublasLtMatmulDescSetAttribute) DescSet = nullptr;
  decltype(&::cublasLtMatrixLayoutCreate) LayoutCreate = nullptr;
  decltype(&::cublasLtMatrixLayoutDestroy) LayoutDestroy = nullptr;
  decltype(&::cublasLtMatmulPreferenceCreate) PreferenceCreate = nullptr;
  decltype(&::cublasLtMatmulPreferenceDestroy) PreferenceDestroy = nullptr;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) PreferenceSet = nullptr;
};

// Internal with the library's number of the error.
Status CheckedCublasLt(cublasStatus_t status, const char* what);

}  // namespace tokenworks::device
