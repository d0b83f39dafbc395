// SPDX-License-Identifier: Apache-2.0
#include "platform/base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace tokenworks::base {
namespace {

TEST(MappedFile, HoldsTheBytesAfterTheNameIsGone) {
  char path[] = "/tmp/tokenworks-XXXXXX";
  close(mkstemp(path));
  std::ofstream(path) << "content";
  const auto file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok());
  unlink(path);
  EXPECT_EQ((*file)->path(), path);
  ASSERT_EQ((*file)->bytes().size(), 7u);
  EXPECT_EQ(std::memcmp((*file)->bytes().data(), "content", 7), 0);
}

TEST(MappedFile, RefusesWhatIsNoFileAndNamesIt) {
  char empty[] = "/tmp/tokenworks-XXXXXX";
  close(mkstemp(empty));
  for (const auto& [path, code] : {std::pair<std::string, StatusCode>{"/tmp/tokenworks-absent", StatusCode::kNotFound},
                                   {"/tmp", StatusCode::kInvalidArgument},
                                   {empty, StatusCode::kInvalidArgument}}) {
    const Status status = MappedFile::Open(path).status();
    EXPECT_EQ(status.code(), code) << path;
    EXPECT_NE(std::string(status.message()).find(path), std::string::npos);
  }
  unlink(empty);
}

TEST(MappedFile, DoesNotWaitForAPipesWriter) {
  const std::string path = "/tmp/tokenworks-pipe-" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::Open(path).status().code(), StatusCode::kInvalidArgument);
  unlink(path.c_str());
}

}  // namespace
}  // namespace tokenworks::base
