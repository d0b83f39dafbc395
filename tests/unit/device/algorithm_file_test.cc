// SPDX-License-Identifier: Apache-2.0
// The table on disk: kept from start to start, shared by workers, replaced where it is not believed.
#include "platform/device/algorithm_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "algorithm_table_fixture.h"
#include "tests/unit/launch/temporary_folder.h"

namespace tokenworks::device {
namespace {

using launch::TemporaryFolder;
using testing::HasSubstr;

GemmShape Rows(int rows) { return {.rows = rows, .outputs = 64, .inputs = 32}; }
std::string FileIn(const std::string& folder) { return folder + "/" + TableFileName(Card()); }
std::string ContentOf(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}
size_t FilesIn(const std::string& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(AlgorithmFile, KeepsFromOneStartToTheNext) {
  const TemporaryFolder home;
  const std::string folder = home.path() + "/cache/gpu";
  AlgorithmFile first(folder, Card());
  EXPECT_TRUE(first.refused().ok());
  EXPECT_EQ(first.Find(Rows(4)), nullptr);
  EXPECT_TRUE(first.Save().ok());
  EXPECT_FALSE(std::filesystem::exists(folder)) << "nothing was measured, nothing is made";
  first.Remember(Rows(4), Algorithm(9, 3.5));
  EXPECT_EQ(first.Find(Rows(4))->bytes, Algorithm(9).bytes);
  ASSERT_TRUE(first.Save().ok());
  const AlgorithmFile second(folder, Card());
  ASSERT_NE(second.Find(Rows(4)), nullptr);
  EXPECT_EQ(second.Find(Rows(4))->bytes, Algorithm(9).bytes);
  EXPECT_EQ(second.Find(Rows(4))->microseconds, 3.5);
  EXPECT_EQ(second.Find(Rows(8)), nullptr);
}

TEST(AlgorithmFile, IsPrivateAndLeavesNothingBeside) {
  const TemporaryFolder home;
  const std::string folder = home.path() + "/gpu";
  AlgorithmFile file(folder, Card());
  file.Remember(Rows(4), Algorithm(1));
  ASSERT_TRUE(file.Save().ok());
  struct stat s {};
  ASSERT_EQ(stat(FileIn(folder).c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(folder.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0700u);
  EXPECT_EQ(FilesIn(folder), 1u);
  std::filesystem::remove(FileIn(folder));
  EXPECT_TRUE(file.Save().ok());
  EXPECT_EQ(FilesIn(folder), 0u) << "what is saved is not written again";
}

TEST(AlgorithmFile, WithoutAFolderItOnlyRemembers) {
  AlgorithmFile file;
  file.Remember(Rows(4), Algorithm(1));
  EXPECT_NE(file.Find(Rows(4)), nullptr);
  EXPECT_TRUE(file.Save().ok());
}

TEST(AlgorithmFile, WritersTakeInWhatIsThere) {
  const TemporaryFolder folder;
  AlgorithmFile prefill(folder.path(), Card()), decode(folder.path(), Card());
  prefill.Remember(Rows(128), Algorithm(1)), prefill.Remember(Rows(4), Algorithm(2));
  decode.Remember(Rows(16), Algorithm(3)), decode.Remember(Rows(4), Algorithm(4));
  ASSERT_TRUE(prefill.Save().ok());
  ASSERT_TRUE(decode.Save().ok());
  const AlgorithmFile both(folder.path(), Card());
  for (const int rows : {128, 16, 4}) ASSERT_NE(both.Find(Rows(rows)), nullptr) << rows;
  EXPECT_EQ(both.Find(Rows(4))->bytes, Algorithm(4).bytes) << "the last one stays";
}

TEST(AlgorithmFile, WritersAtOnceNeverShowHalfATable) {
  const TemporaryFolder folder;
  std::atomic<int> running = 4;
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w)
    writers.emplace_back([&, w] {
      AlgorithmFile file(folder.path(), Card());
      for (int i = 0; i < 50; ++i) {
        file.Remember(Rows(1 + w * 50 + i), Algorithm(static_cast<uint8_t>(w)));
        EXPECT_TRUE(file.Save().ok());
      }
      --running;
    });
  while (running > 0) EXPECT_TRUE(AlgorithmFile(folder.path(), Card()).refused().ok());
  for (std::thread& t : writers) t.join();
  EXPECT_EQ(FilesIn(folder.path()), 1u);
}

TEST(AlgorithmFile, WhatIsNotBelievedCountsAsAbsentAndIsReplaced) {
  const TemporaryFolder folder;
  const std::string path = FileIn(folder.path()), good = PrintTable(Card(), {{Rows(4), Algorithm(1)}});
  TableSubject other = Card();
  other.card = "NVIDIA_H200";  // the same file name
  for (const std::string& text : {std::string(), std::string("hello"), good.substr(0, good.size() - 1),
                                  std::string(3 << 20, 'x'), PrintTable(other, {{Rows(4), Algorithm(1)}})}) {
    std::ofstream(path, std::ios::binary) << text;
    AlgorithmFile file(folder.path(), Card());
    EXPECT_THAT(std::string(file.refused().message()), HasSubstr(path + ": "));
    EXPECT_EQ(file.Find(Rows(4)), nullptr);
    file.Remember(Rows(8), Algorithm(2));
    ASSERT_TRUE(file.Save().ok());
    EXPECT_EQ(ContentOf(path), PrintTable(Card(), {{Rows(8), Algorithm(2)}}));
  }
}

TEST(AlgorithmFile, AFullTableKeepsWhatIsNew) {
  const TemporaryFolder folder;
  AlgorithmTable full;
  for (int rows = 1; full.size() < kAlgorithmsMax; ++rows) full[Rows(rows)] = Algorithm(1);
  std::ofstream(FileIn(folder.path())) << PrintTable(Card(), full);
  AlgorithmFile file(folder.path(), Card());
  file.Remember(Rows(9000), Algorithm(2));
  file.Remember(Rows(0), Algorithm(2));  // cannot be said by a line
  ASSERT_TRUE(file.Save().ok());
  const AlgorithmFile read(folder.path(), Card());
  EXPECT_TRUE(read.refused().ok()) << read.refused();
  EXPECT_NE(read.Find(Rows(9000)), nullptr);
  EXPECT_EQ(read.Find(Rows(4096)), nullptr);
}

TEST(AlgorithmFile, SaysWhyItCannotBeKept) {
  const TemporaryFolder folder;
  AlgorithmFile below(folder.File("plain", "") + "/gpu", Card());
  below.Remember(Rows(4), Algorithm(1));
  EXPECT_EQ(below.Save().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(below.Save().message()), HasSubstr("making the folder " + folder.path() + "/plain/gpu: "));
  std::filesystem::create_directories(FileIn(folder.path()));
  AlgorithmFile onto(folder.path(), Card());
  EXPECT_THAT(std::string(onto.refused().message()), HasSubstr("is no file"));
  onto.Remember(Rows(4), Algorithm(1));
  EXPECT_EQ(onto.Save().code(), StatusCode::kInternal);
  EXPECT_THAT(std::string(onto.Save().message()), HasSubstr("writing " + FileIn(folder.path())));
  EXPECT_EQ(FilesIn(folder.path()), 2u) << "no temporary file is left";
}

}  // namespace
}  // namespace tokenworks::device
