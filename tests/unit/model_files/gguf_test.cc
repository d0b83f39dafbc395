// SPDX-License-Identifier: Apache-2.0
// Model files as they should be, and hostile ones: each is refused with a sentence that names the file and what is
// wrong.
#include "model_files/gguf.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/gguf/tiny_model.h"

namespace tokenworks::model_files {
namespace {

using gguf::Bytes;
using gguf::FileBuilder;
using gguf::TemporaryFile;

// Why the content is refused; empty when it is not. Every refusal names the file and is one line.
std::string Refusal(const std::string& content) {
  const TemporaryFile file(content);
  const auto opened = GgufFile::Open(file.path());
  if (opened.ok()) return {};
  const std::string message(opened.status().message());
  EXPECT_EQ(opened.status().code(), StatusCode::kInvalidArgument) << message;
  EXPECT_NE(message.find(file.path()), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_LT(message.size(), 600u);
  return message;
}

void ExpectRefusal(const std::string& content, const std::string& part) {
  const std::string message = Refusal(content);
  EXPECT_NE(message.find(part), std::string::npos) << "'" << message << "' lacks '" << part << "'";
  EXPECT_NE(message.find("fetch or convert the model again"), std::string::npos) << message;
}

Bytes Head(uint64_t tensors, uint64_t pairs, uint32_t version = 3) {
  return Bytes().Raw("GGUF").U32(version).U64(tensors).U64(pairs);
}

// A file of F32 tensors, each at the offset that is given, before 256 bytes of data.
std::string TensorsAt(const std::vector<std::pair<uint64_t, std::vector<uint64_t>>>& tensors, uint32_t type = 0) {
  Bytes b = Head(tensors.size(), 0);
  for (size_t i = 0; i < tensors.size(); ++i) {
    b.Text("t" + std::to_string(i)).U32(static_cast<uint32_t>(tensors[i].second.size()));
    for (const uint64_t d : tensors[i].second) b.U64(d);
    b.U32(type).U64(tensors[i].first);
  }
  std::string out = b.str();
  out.resize((out.size() + 31) / 32 * 32 + 256);
  return out;
}

TEST(GgufFile, ReadsWhatTheWriterWrote) {
  FileBuilder builder = gguf::TinyModel(1);
  builder.Strings("list", {"a", "", "c"})
      .Pair("yes", 7, "\1")
      .Pair("minus", 5, Bytes().U32(static_cast<uint32_t>(-3)).str());
  const TemporaryFile file(builder.Build());
  const auto opened = GgufFile::Open(file.path());
  ASSERT_TRUE(opened.ok()) << opened.status();
  const GgufFile& f = **opened;
  EXPECT_EQ(*f.String("general.name"), "tiny");
  EXPECT_EQ(*f.Unsigned("llama.block_count"), 2u);
  EXPECT_FLOAT_EQ(*f.Float("llama.rope.freq_base"), 10000);
  EXPECT_EQ(*f.Strings("list"), (std::vector<std::string>{"a", "", "c"}));
  EXPECT_TRUE(*f.Bool("yes"));
  EXPECT_EQ(f.Unsigned("minus").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(f.Unsigned("absent").status().code(), StatusCode::kNotFound);
  EXPECT_NE(f.String("llama.block_count").status().message().find("llama.block_count"), std::string::npos);
  ASSERT_NE(f.Find("token_embd.weight"), nullptr);
  EXPECT_EQ(f.Find("token_embd.weight")->rows(), static_cast<uint64_t>(gguf::kTinyVocabulary));
  EXPECT_EQ(f.Find("token_embd.weight")->data.size(), 64u / 32 * 34 * gguf::kTinyVocabulary);
  EXPECT_EQ(f.Find("nothing"), nullptr);
}

TEST(GgufFile, RefusesACutAtEveryByteOfTheHeader) {
  const std::string whole = gguf::TinyModel(1).Build();
  const size_t header = whole.rfind("ffn_down.weight") + 15 + 4 + 16 + 4 + 8;
  ASSERT_EQ(Refusal(whole), "");
  for (size_t size = 1; size <= header; ++size) ASSERT_NE(Refusal(whole.substr(0, size)), "") << size;
  ExpectRefusal(whole.substr(0, 30), "cut short?");
  // ffn_down of the last layer ends the file: one byte of data less is noticed too.
  ExpectRefusal(whole.substr(0, whole.size() - 33), "blk.1.ffn_down.weight");
}

TEST(GgufFile, RefusesOtherFilesAndVersions) {
  ExpectRefusal("PK\3\4 some archive", "not a GGUF model file");
  ExpectRefusal(Head(0, 0, 1).str(), "GGUF version 1");
  ExpectRefusal(Head(0, 0, 4).str(), "GGUF version 4");
  ExpectRefusal(Head(0, 0, 0x03000000).str(), "big-endian");
  EXPECT_EQ(Refusal(Head(0, 0, 2).str()), "");
  EXPECT_EQ(GgufFile::Open("/nowhere/model.gguf").status().code(), StatusCode::kNotFound);
  EXPECT_NE(GgufFile::Open(testing::TempDir()).status().message().find("folder"), std::string::npos);
  EXPECT_FALSE(GgufFile::Open(TemporaryFile("").path()).ok());
}

TEST(GgufFile, RefusesCountsAndLengthsThatTheFileCannotHold) {
  const uint64_t huge = uint64_t{1} << 63;
  ExpectRefusal(Head(huge, 0).str(), "tensors");
  ExpectRefusal(Head(0, huge).str(), "metadata pairs");
  ExpectRefusal(Head(0, 1).U64(huge).str(), "a metadata key claims");
  ExpectRefusal(Head(0, 1).U64(UINT64_MAX).str(), "a metadata key claims");
  ExpectRefusal(Head(0, 1).Text(std::string(5000, 'k')).U32(4).U32(1).str(), "at most 4096");
  ExpectRefusal(Head(0, 1).Text("k").U32(8).U64(UINT64_MAX).str(), "the value of k claims");
  ExpectRefusal(Head(0, 1).Text("k").U32(9).U32(4).U64(huge).str(), "key k claims");
  ExpectRefusal(Head(1, 0).Text(std::string(2000, 't')).str(), "at most 1024");
}

// An element in memory takes many times what it takes in the file.
TEST(GgufFile, RefusesAnArrayThatTheFileHoldsAndMemoryShouldNot) {
  const uint64_t elements = (uint64_t{1} << 22) + 1;
  ExpectRefusal(Head(0, 1).Text("k").U32(9).U32(0).U64(elements).Raw(std::string(elements, '\0')).str(),
                "array elements");
  Bytes many = Head(0, 5);
  for (int i = 0; i < 5; ++i)
    many.Text("k" + std::to_string(i)).U32(9).U32(0).U64(elements / 4).Raw(std::string(elements / 4, '\0'));
  ExpectRefusal(many.str(), "array elements");
}

TEST(GgufFile, RefusesWrongMetadata) {
  ExpectRefusal(FileBuilder().Unsigned("k", 1).Unsigned("k", 2).Build(), "key k appears twice");
  ExpectRefusal(FileBuilder().Pair("k", 13, "1234").Build(), "unknown value type 13");
  const std::string nested = Bytes().U32(9).U64(1).U32(9).U64(1).U32(9).U64(1).U32(0).U64(1).Raw("x").str();
  ExpectRefusal(FileBuilder().Pair("k", 9, nested).Build(), "nested deeper");
  for (const uint32_t alignment : {0u, 33u, 1u << 21})
    ExpectRefusal(FileBuilder().Unsigned("general.alignment", alignment).Build(), "general.alignment");
  ExpectRefusal(FileBuilder().String("general.alignment", "32").Build(), "general.alignment");
  ExpectRefusal(FileBuilder().Pair("line\nbreak", 13, "").Build(), "line?break");
}

TEST(GgufFile, RefusesWrongTensors) {
  ASSERT_EQ(Refusal(TensorsAt({{0, {32}}, {128, {8, 4}}})), "");
  ExpectRefusal(TensorsAt({{0, {}}}), "0 dimensions");
  ExpectRefusal(TensorsAt({{0, {1, 1, 1, 1, 1}}}), "5 dimensions");
  ExpectRefusal(TensorsAt({{0, {0}}}), "dimension 0");
  ExpectRefusal(TensorsAt({{0, {uint64_t{1} << 40}}}), "dimension");
  ExpectRefusal(TensorsAt({{0, {1u << 30, 1u << 30, 1u << 30, 1u << 30}}}), "dimension");
  ExpectRefusal(TensorsAt({{0, {32}}}, 99), "type 99");
  ExpectRefusal(TensorsAt({{0, {33}}}, 8), "33 columns");
  ExpectRefusal(TensorsAt({{16, {8}}}), "not a multiple of 32");
  ExpectRefusal(TensorsAt({{256, {1}}}), "beyond the end");
  ExpectRefusal(TensorsAt({{0, {65}}}), "beyond the end");
  ExpectRefusal(TensorsAt({{UINT64_MAX - 31, {64}}}), "beyond the end");
  ExpectRefusal(TensorsAt({{0, {16, 4}}, {224, {8}}, {128, {8, 2}}}), "t0 and t2 overlap");
  ExpectRefusal(TensorsAt({{32, {8}}, {32, {8}}}), "overlap");
  ExpectRefusal(FileBuilder().Add({"t", 0, {8}, std::string(32, 0)}).Add({"t", 0, {8}, std::string(32, 0)}).Build(),
                "tensor t appears twice");
}

}  // namespace
}  // namespace tokenworks::model_files
