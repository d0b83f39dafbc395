// SPDX-License-Identifier: Apache-2.0
// bf16 matrix products by cuBLASLt, opened at the first use, with one algorithm kept per shape.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "platform/device/algorithm_file.h"
#include "platform/device/device.h"

namespace tokenworks::device {

struct CublasLtLibrary;

// Thread: one at a time. Errors of all: as in CheckMatrixLibrary when the library cannot be used.
class CublasLtGemm {
 public:
  CublasLtGemm();
  ~CublasLtGemm();
  // The library's version, 130100 for 13.1.0.
  StatusOr<uint64_t> Version();
  // From here on tuned algorithms are taken from `folder` and kept there; says on standard error when a file of it is
  // not believed. Empty: nothing is kept.
  void KeepTuning(const std::string& folder, TableSubject subject);
  // Keeps a known algorithm that the library still accepts and that runs; otherwise the fastest of the first `tries`
  // suggestions, timed on the given buffers.
  Status Tune(const GemmArgs& args, int tries, void* stream);
  Status SaveTuning() { return tuned_.Save(); }
  Status Run(const GemmArgs& args, void* stream);

 private:
  struct Plan;
  Status Open();
  StatusOr<Plan*> Find(const GemmArgs& args);
  // Puts a known algorithm first in the plan; false where there is none that runs.
  bool TakeKnown(const GemmArgs& args, Plan& plan, void* stream);
  // Puts the fastest first, and says which.
  StatusOr<TunedAlgorithm> Measure(const GemmArgs& args, int tries, Plan& plan, void* stream);

  std::unique_ptr<CublasLtLibrary> library_;
  std::map<GemmShape, std::unique_ptr<Plan>> plans_;
  AlgorithmFile tuned_;
  void* workspace_ = nullptr;
};

}  // namespace tokenworks::device
