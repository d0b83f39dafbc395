// SPDX-License-Identifier: Apache-2.0
// What this build needs of a host's driver, GPU and matrix library: facts in; what is wrong and what to do about it
// out.
#pragma once

#include <cstdint>
#include <string>

#include "tokenworks/status.h"

namespace tokenworks::device {

// Versions as CUDA writes them: 12080 is 12.8.
struct DriverFacts {
  int driver = 0;     // the newest CUDA that the driver speaks; 0 = there is no driver
  int runtime = 0;    // the CUDA that this build is made with
  std::string error;  // of counting devices; empty = none
  int devices = 0;
};
// NotFound: no driver, or no device `index`. FailedPrecondition: a driver that is too old, or that does not start.
Status CheckDriver(const DriverFacts& facts, int index);

// FailedPrecondition: a GPU that there are no kernels for. `compute_capability` 90 for sm_90.
Status CheckArchitecture(const std::string& card, int compute_capability);

inline constexpr int kMatrixLibraryMajor = 13;

// Versions as cuBLASLt writes them: 130100 is 13.1.0.
struct MatrixLibraryFacts {
  std::string open_error;      // why libcublasLt.so.13 cannot be opened; empty = it is open
  uint64_t version = 0;        // what it says of itself
  std::string missing;         // the first function it lacks; empty = none
  std::string other;           // another one that is there, where this one is not: "libcublasLt.so.12"
  uint64_t other_version = 0;  // 0 = it does not say
};
// NotFound: it is not there. FailedPrecondition: it is another one than its name says.
Status CheckMatrixLibrary(const MatrixLibraryFacts& facts);

// "13.0" for 13000.
std::string CudaVersion(int version);
// "cuBLASLt 13.1.0" for 130100.
std::string MatrixLibraryName(uint64_t version);

}  // namespace tokenworks::device
