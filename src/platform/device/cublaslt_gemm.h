// SPDX-License-Identifier: Apache-2.0
// bf16 matrix products by cuBLASLt, opened with dlopen at the first use, with one algorithm kept per shape.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "platform/device/device.h"

namespace tokenworks::device {

// Thread: one at a time. Errors: NotFound when libcublasLt.so.13 cannot be opened (says where it was looked for).
class CublasLtGemm {
 public:
  CublasLtGemm();
  ~CublasLtGemm();
  // Library version, or why there is none.
  std::string Describe();
  // Keeps the fastest of the first `tries` suggestions, timed on the given buffers.
  Status Tune(const GemmArgs& args, int tries, void* stream);
  Status Run(const GemmArgs& args, void* stream);

 private:
  struct Library;
  struct Plan;
  using Shape = std::tuple<int, int, int, bool, bool>;  // rows, outputs, inputs, float result, accumulate
  Status Open();
  StatusOr<Plan*> Find(const GemmArgs& args);

  std::unique_ptr<Library> library_;
  std::map<Shape, std::unique_ptr<Plan>> plans_;
  void* workspace_ = nullptr;
};

}  // namespace tokenworks::device
