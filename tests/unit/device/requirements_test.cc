// SPDX-License-Identifier: Apache-2.0
// What is said of a host whose driver, GPU or matrix library does not do: which, what was found, what to do.
#include "platform/device/requirements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tokenworks::device {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Requirements, ADriverOfTheSameMajorVersionDoes) {
  EXPECT_TRUE(CheckDriver({.driver = 13000, .runtime = 13000, .error = "", .devices = 1}, 0).ok());
  EXPECT_TRUE(CheckDriver({.driver = 13000, .runtime = 13020, .error = "", .devices = 2}, 1).ok());
  EXPECT_TRUE(CheckDriver({.driver = 14000, .runtime = 13000, .error = "", .devices = 1}, 0).ok());
}

TEST(Requirements, NoDriverAndNoDeviceAreNotFound) {
  const Status none = CheckDriver({.driver = 0, .runtime = 13000, .error = "insufficient", .devices = -1}, 0);
  EXPECT_EQ(none.code(), StatusCode::kNotFound);
  EXPECT_THAT(none.message(), AllOf(HasSubstr("no CUDA device 0, no NVIDIA driver"), HasSubstr("at least 580"),
                                    HasSubstr("pools.*.device: cpu")));
  for (const int index : {-1, 1}) {
    const Status beyond = CheckDriver({.driver = 13000, .runtime = 13000, .error = "", .devices = 1}, index);
    EXPECT_EQ(beyond.code(), StatusCode::kNotFound);
    EXPECT_THAT(beyond.message(),
                AllOf(HasSubstr("no CUDA device "), HasSubstr(", 1 found"), HasSubstr("device: cpu")));
  }
}

TEST(Requirements, AnOldDriverIsNamedWithWhatIsNeeded) {
  const Status old = CheckDriver({.driver = 12080, .runtime = 13010, .error = "insufficient", .devices = -1}, 0);
  EXPECT_EQ(old.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(old.message()),
            "the NVIDIA driver is for CUDA 12.8, this build needs CUDA 13.0 or later: install an NVIDIA driver of at "
            "least 580, or use pools.*.device: cpu");
  const Status broken = CheckDriver({.driver = 13000, .runtime = 13000, .error = "not yet initialized"}, 0);
  EXPECT_EQ(broken.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(broken.message(), AllOf(HasSubstr("(CUDA 13.0) does not start: not yet initialized"),
                                      HasSubstr("nvidia-smi"), HasSubstr("device: cpu")));
}

TEST(Requirements, AnotherArchitectureIsNamed) {
  EXPECT_TRUE(CheckArchitecture("NVIDIA A100", 80).ok());
  EXPECT_TRUE(CheckArchitecture("NVIDIA H200", 90).ok());
  for (const int capability : {75, 86, 89, 100, 120}) {
    const Status other = CheckArchitecture("NVIDIA X", capability);
    EXPECT_EQ(other.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(other.message(), AllOf(HasSubstr("NVIDIA X is sm_" + std::to_string(capability)),
                                       HasSubstr("sm_80 and sm_90"), HasSubstr("device: cpu")));
  }
}

TEST(Requirements, AMissingMatrixLibraryIsNamedWithTheOneThatIsThere) {
  EXPECT_TRUE(CheckMatrixLibrary({.open_error = "", .version = 130100, .missing = "", .other = ""}).ok());
  EXPECT_TRUE(CheckMatrixLibrary({.open_error = "", .version = 130900, .missing = "", .other = ""}).ok());
  MatrixLibraryFacts facts{.open_error = "no such file", .missing = "", .other = ""};
  const Status none = CheckMatrixLibrary(facts);
  EXPECT_EQ(none.code(), StatusCode::kNotFound);
  EXPECT_EQ(
      std::string(none.message()),
      "matrix products need cuBLASLt 13, opening libcublasLt.so.13 failed: no such file; install that of the CUDA "
      "13 toolkit and put its folder on LD_LIBRARY_PATH, or use pools.*.device: cpu");
  facts.other = "libcublasLt.so.12";
  EXPECT_THAT(CheckMatrixLibrary(facts).message(), HasSubstr("; libcublasLt.so.12 is there and is another version; "));
  facts.other_version = 120804;
  EXPECT_THAT(CheckMatrixLibrary(facts).message(), HasSubstr("; libcublasLt.so.12 (12.8.4) is there"));
}

TEST(Requirements, AMatrixLibraryThatIsNotWhatItsNameSays) {
  for (const auto& [version, said] : {std::pair<uint64_t, const char*>{120804, "says that it is 12.8.4"},
                                      {0, "says that it is no version"},
                                      {140000, "says that it is 14.0.0"}}) {
    const Status other = CheckMatrixLibrary({.open_error = "", .version = version, .missing = "", .other = ""});
    EXPECT_EQ(other.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(other.message(), AllOf(HasSubstr(said), HasSubstr("LD_LIBRARY_PATH")));
  }
  EXPECT_THAT(
      CheckMatrixLibrary({.open_error = "", .version = 130000, .missing = "cublasLtMatmul", .other = ""}).message(),
      HasSubstr("libcublasLt.so.13 (13.0.0) has no cublasLtMatmul; "));
  EXPECT_EQ(MatrixLibraryName(130100), "cuBLASLt 13.1.0");
}

}  // namespace
}  // namespace tokenworks::device
