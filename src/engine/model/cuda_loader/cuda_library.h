// SPDX-License-Identifier: Apache-2.0
// libtokenworks_cuda.so as the core sees it: opened when it is asked for, an Executor behind a C interface.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tokenworks/cuda_abi.h"
#include "tokenworks/executor.h"

namespace tokenworks::model {

struct CudaOptions {
  std::string model_path;
  std::string model_name;  // what it answers to; empty = the file's general.name
  int device = 0;
  uint64_t kv_bytes = 0;   // 0 = nine tenths of what weights and workspace leave
  int context_length = 0;  // 0 = the model's
  int layer_group_layers = 4;
  int rows_max = 1024, samples_max = 256;  // of one step
  std::string tuning_folder;               // where tuned algorithms of matrix products are kept; empty = nowhere
};

struct CudaDevice {
  int index = 0;  // N of cuda:N: this process's numbering, which the environment may change; `uuid` stays
  std::string name, uuid;
  int compute_capability = 0, multiprocessors = 0;
  uint64_t memory_bytes = 0, free_bytes = 0, context_bytes = 0;  // the last: of each process
  std::string matrix_library, matrix_library_problem;  // what it is, or why no model can run; both empty on the host
};

struct CudaDevices {
  std::vector<CudaDevice> usable;     // by index, one or more
  std::vector<std::string> unusable;  // a sentence for each of the others
};

// Stays open as long as the process: GPU code does not survive being unloaded.
class CudaLibrary {
 public:
  // Opens TOKENWORKS_CUDA_LIBRARY, or the library beside the running binary. NotFound: there is none, or one of its own
  // libraries is missing; FailedPrecondition: it is of another version.
  static StatusOr<CudaLibrary> Open();
  static StatusOr<CudaLibrary> Open(const std::string& path);

  // NotFound without a driver or device, FailedPrecondition for a GPU that there are no kernels for.
  StatusOr<CudaDevice> Describe(int device) const;
  // Asks every device in turn. Where none can be used, the first one's error.
  StatusOr<CudaDevices> Devices() const;
  // Touches no other device. NotFound: none has this UUID.
  StatusOr<CudaDevice> Find(const std::string& uuid) const;
  // What CreateExecutor takes of the device beside weights, KV and context. Errors: the file's, Unimplemented for its
  // shape.
  StatusOr<uint64_t> WorkspaceBytes(const CudaOptions& options) const;
  // The model on the device; errors as in CudaExecutor::Create.
  StatusOr<std::unique_ptr<Executor>> CreateExecutor(const CudaOptions& options) const;

 private:
  explicit CudaLibrary(const TwCudaApi* api) : api_(api) {}
  StatusOr<std::vector<std::string>> Uuids() const;
  const TwCudaApi* api_;
};

}  // namespace tokenworks::model
