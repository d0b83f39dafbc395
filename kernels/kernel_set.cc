// SPDX-License-Identifier: Apache-2.0
#include "kernels/kernel_set.h"

#include <cstdlib>

namespace tokenworks::kernels {

const KernelSet* SelectKernels(std::string_view name) {
  if (name.empty()) {
    const char* variable = std::getenv("TOKENWORKS_KERNELS");
    if (variable != nullptr) name = variable;
  }
  if (name == "scalar") return &ScalarKernels();
  if (name == "avx2") return Avx2Kernels();
  if (name == "avx512vnni") return Avx512VnniKernels();
  if (!name.empty()) return nullptr;
  if (const KernelSet* set = Avx512VnniKernels()) return set;
  if (const KernelSet* set = Avx2Kernels()) return set;
  return &ScalarKernels();
}

}  // namespace tokenworks::kernels
