// SPDX-License-Identifier: Apache-2.0
// A table reads back as it was written, for its own card and library; anything else is refused whole.
#include "platform/device/algorithm_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "algorithm_table_fixture.h"

namespace tokenworks::device {
namespace {

using testing::HasSubstr;

std::string Head() { return PrintTable(Card(), {}).substr(0, PrintTable(Card(), {}).find('\n') + 1); }
std::string Line(const GemmShape& shape, const TunedAlgorithm& algorithm) {
  const std::string all = PrintTable(Card(), {{shape, algorithm}});
  return all.substr(Head().size(), all.rfind('\n', all.size() - 2) + 1 - Head().size());
}
// What is said of a table with these lines and a last line that confirms them.
std::string SaidOf(const std::string& lines) {
  const std::string text = Head() + lines;
  const auto table = ParseTable(text + PrintTableEnd(text), Card());
  EXPECT_TRUE(table.ok() || table.status().code() == StatusCode::kInvalidArgument) << table.status();
  return table.ok() ? "" : std::string(table.status().message());
}

TEST(AlgorithmTable, ReadsBackWhatItWrote) {
  const AlgorithmTable table = SmallTable();
  const auto read = ParseTable(PrintTable(Card(), table), Card());
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), table.size());
  for (const auto& [shape, algorithm] : table) {
    ASSERT_TRUE(read->contains(shape));
    EXPECT_EQ(read->at(shape).bytes, algorithm.bytes);
    EXPECT_EQ(read->at(shape).microseconds, algorithm.microseconds);
  }
  EXPECT_TRUE(ParseTable(PrintTable(Card(), {}), Card())->empty());
  EXPECT_EQ(Line({.rows = 4, .outputs = 64, .inputs = 32, .float_result = true}, TunedAlgorithm{{0xa0, 1}, 12.3456}),
            "4 64 32 1 0 12.346 a001" + std::string(124, '0') + "\n");
}

TEST(AlgorithmTable, IsOfOneCardOneLibraryAndOneFormat) {
  const std::string text = PrintTable(Card(), SmallTable());
  TableSubject other = Card();
  other.card = "NVIDIA H100";
  EXPECT_EQ(ParseTable(text, other).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(ParseTable(text, other).status().message(),
              testing::AllOf(HasSubstr("130100 sm_90 NVIDIA H200'"), HasSubstr("and not 'tokenworks-algorithms 1"),
                             HasSubstr("NVIDIA H100'")));
  other = Card();
  other.library_version = 130200;
  EXPECT_EQ(ParseTable(text, other).status().code(), StatusCode::kFailedPrecondition);
  other = Card();
  other.compute_capability = 80;
  EXPECT_EQ(ParseTable(text, other).status().code(), StatusCode::kFailedPrecondition);
  std::string newer = text;
  newer.replace(newer.find(" 1 "), 3, " 2 ");
  EXPECT_EQ(ParseTable(newer, Card()).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(ParseTable("\x1b[31m\xff" + text, Card()).status().message(), HasSubstr("'?[31m?tokenworks"));
}

TEST(AlgorithmTable, FileNamesAreTame) {
  EXPECT_EQ(TableFileName(Card()), "NVIDIA_H200-sm_90-cublasLt-130100.txt");
  TableSubject odd = Card();
  odd.card = "../../etc/\npasswd ";
  EXPECT_EQ(TableFileName(odd), "______etc__passwd_-sm_90-cublasLt-130100.txt");
  EXPECT_TRUE(ParseTable(PrintTable(odd, SmallTable()), odd).ok()) << "a card's name cannot break the head";
}

TEST(AlgorithmTable, ATextThatIsCutOrChangedAnywhereIsRefused) {
  const std::string text = PrintTable(Card(), SmallTable());
  for (size_t size = 0; size < text.size(); ++size) ASSERT_FALSE(ParseTable(text.substr(0, size), Card()).ok()) << size;
  for (size_t at = 0; at < text.size(); ++at)
    for (const char flip : {1, 4, 64}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      ASSERT_FALSE(ParseTable(changed, Card()).ok()) << at;
    }
  EXPECT_FALSE(ParseTable(text + "\n", Card()).ok());
  EXPECT_FALSE(ParseTable(text + text, Card()).ok());
}

TEST(AlgorithmTable, EveryFieldIsChecked) {
  const GemmShape shape{.rows = 4, .outputs = 64, .inputs = 32};
  const std::string line = Line(shape, Algorithm(1)), hex = line.substr(line.rfind(' ') + 1);
  EXPECT_EQ(SaidOf(line), "");
  const std::string second = Line({.rows = 8, .outputs = 64, .inputs = 32}, Algorithm(2));
  EXPECT_THAT(SaidOf(second + line + second), HasSubstr("line 4: its shape stands in an earlier line"));
  EXPECT_THAT(SaidOf("\n"), HasSubstr("line 2: it does not have 7 fields"));
  EXPECT_THAT(SaidOf(line + "4 64 32 0 0 8.250\n"), HasSubstr("line 3: it does not have 7 fields"));
  EXPECT_THAT(SaidOf("4 64 32 0 0 8.250 " + hex.substr(0, 128) + " 1\n"), HasSubstr("7 fields"));
  for (const char* start :
       {"x 64 32 0 0", "4 64 99999999999 0 0", "4 64 32 2 0", "4 64 32 0 -1", " 4 64 32 0", "4  64 0 0"})
    EXPECT_THAT(SaidOf(start + (" 8.250 " + hex)), HasSubstr("it has no shape")) << start;
  for (const char* start :
       {"0 64 32 0 0 8.250", "-4 64 32 0 0 8.250", "4 64 16777217 0 0 8.250", "1048577 64 32 0 0 8.250",
        "4 64 32 0 0 0.000", "4 64 32 0 0 -8.250", "4 64 32 0 0 inf", "4 64 32 0 0 nan", "4 64 32 0 0 10000000.001"})
    EXPECT_THAT(SaidOf(start + (" " + hex)), HasSubstr("out of range")) << start;
  EXPECT_THAT(SaidOf("4 64 32 0 0 fast " + hex), HasSubstr("it has no time"));
  for (const char* start : {"04 64 32 0 0 8.250", "4 64 32 0 0 8.25", "4 64 32 0 0 8.2504", "4 64 32 0 0 8e0"})
    EXPECT_THAT(SaidOf(start + (" " + hex)), HasSubstr("not written as")) << start;
  for (const std::string& bytes :
       {hex.substr(2), "00" + hex, std::string(127, '0') + "g\n", std::string(128, 'A') + "\n"})
    EXPECT_THAT(SaidOf("4 64 32 0 0 8.250 " + bytes), HasSubstr("not 64 bytes")) << bytes;
}

TEST(AlgorithmTable, HasLimits) {
  AlgorithmTable full;
  for (int rows = 1; full.size() < kAlgorithmsMax; ++rows)
    full[{.rows = (1 << 20) - rows, .outputs = 1 << 24, .inputs = 1 << 24}] = Algorithm(1, 1e7);
  const std::string text = PrintTable(Card(), full);
  EXPECT_LE(text.size(), kTableBytesMax);
  EXPECT_EQ(ParseTable(text, Card())->size(), kAlgorithmsMax);
  full[{.rows = 1, .outputs = 1, .inputs = 1}] = Algorithm(1);
  EXPECT_THAT(ParseTable(PrintTable(Card(), full), Card()).status().message(), HasSubstr("more than 4096 shapes"));
  EXPECT_THAT(ParseTable(std::string(kTableBytesMax + 1, ' '), Card()).status().message(), HasSubstr("bytes"));
  const GemmShape shape{.rows = 1, .outputs = 1, .inputs = 1};
  EXPECT_TRUE(IsStorable(shape, Algorithm(1)));
  EXPECT_FALSE(IsStorable({.rows = 0, .outputs = 1, .inputs = 1}, Algorithm(1)));
  EXPECT_FALSE(IsStorable(shape, Algorithm(1, std::nan(""))));
}

}  // namespace
}  // namespace tokenworks::device
