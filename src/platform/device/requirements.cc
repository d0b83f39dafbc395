// SPDX-License-Identifier: Apache-2.0
#include "platform/device/requirements.h"

#include "platform/base/str_cat.h"

namespace tokenworks::device {
namespace {

using base::StrCat;

constexpr const char* kDriver = "install an NVIDIA driver of at least 580";
constexpr const char* kOtherwise = ", or use pools.*.device: cpu";

std::string Version(uint64_t v) { return StrCat(v / 10000, ".", v / 100 % 100, ".", v % 100); }

}  // namespace

Status CheckDriver(const DriverFacts& f, int index) {
  if (f.driver == 0)
    return absl::NotFoundError(StrCat("no CUDA device ", index, ", no NVIDIA driver (libcuda.so.1) is here: ", kDriver,
                                      " (a container gets the host's when it is started with its GPUs)", kOtherwise));
  // Within one major version any driver serves any runtime.
  if (f.driver / 1000 < f.runtime / 1000)
    return absl::FailedPreconditionError(StrCat("the NVIDIA driver is for CUDA ", CudaVersion(f.driver),
                                                ", this build needs CUDA ", CudaVersion(f.runtime / 1000 * 1000),
                                                " or later: ", kDriver, kOtherwise));
  if (!f.error.empty())
    return absl::FailedPreconditionError(StrCat("the NVIDIA driver (CUDA ", CudaVersion(f.driver), ") does not start: ",
                                                f.error, ": see what nvidia-smi says", kOtherwise));
  if (index < 0 || index >= f.devices)
    return absl::NotFoundError(StrCat("no CUDA device ", index, ", ", f.devices,
                                      " found: CUDA_VISIBLE_DEVICES or the container may hide it; else use "
                                      "pools.*.device: cpu"));
  return OkStatus();
}

Status CheckArchitecture(const std::string& card, int compute_capability) {
  if (compute_capability == 80 || compute_capability == 90) return OkStatus();
  return absl::FailedPreconditionError(StrCat(card, " is sm_", compute_capability,
                                              ", this build has kernels for sm_80 and sm_90 (A100, H100, H200): take "
                                              "such a GPU",
                                              kOtherwise));
}

Status CheckMatrixLibrary(const MatrixLibraryFacts& f) {
  const std::string name = StrCat("libcublasLt.so.", kMatrixLibraryMajor),
                    wanted = StrCat("matrix products need cuBLASLt ", kMatrixLibraryMajor),
                    todo = StrCat("; install that of the CUDA ", kMatrixLibraryMajor,
                                  " toolkit and put its folder on LD_LIBRARY_PATH", kOtherwise);
  if (!f.open_error.empty()) {
    const std::string other =
        f.other.empty() ? ""
                        : StrCat("; ", f.other, f.other_version > 0 ? StrCat(" (", Version(f.other_version), ")") : "",
                                 " is there and is another version");
    return absl::NotFoundError(StrCat(wanted, ", opening ", name, " failed: ", f.open_error, other, todo));
  }
  if (f.version / 10000 != kMatrixLibraryMajor)
    return absl::FailedPreconditionError(
        StrCat(wanted, ", ", name, " says that it is ", f.version > 0 ? Version(f.version) : "no version", todo));
  if (!f.missing.empty())
    return absl::FailedPreconditionError(
        StrCat(wanted, ", ", name, " (", Version(f.version), ") has no ", f.missing, todo));
  return OkStatus();
}

std::string CudaVersion(int version) { return StrCat(version / 1000, ".", version % 1000 / 10); }

std::string MatrixLibraryName(uint64_t version) { return StrCat("cuBLASLt ", Version(version)); }

}  // namespace tokenworks::device
