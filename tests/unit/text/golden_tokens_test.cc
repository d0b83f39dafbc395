// SPDX-License-Identifier: Apache-2.0
// Token ids equal to HF tokenizers' on 20,000 lines (tests/golden/text/make_tokens.py), with the default model's real
// vocabulary.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/text_setup.h"
#include "launch/run_folder.h"
#include "model_files/model_store.h"

namespace tokenworks {
namespace {

uint32_t Fnv(const std::vector<TokenId>& ids) {
  uint32_t h = 0x811C9DC5;
  for (const TokenId id : ids)
    for (int shift = 0; shift < 32; shift += 8) h = (h ^ ((static_cast<uint32_t>(id) >> shift) & 255)) * 0x01000193;
  return h;
}

TEST(GoldenTokens, AreEqualToTheReferenceOnEveryLine) {
  const auto path = model_files::ModelStore(launch::HomeFolder()).Pull("default", [](const std::string&) {});
  ASSERT_TRUE(path.ok()) << path.status();
  const auto file = model_files::GgufFile::Open(*path);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto tokenizer = apps::LoadTokenizer(**file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  std::ifstream in("tests/golden/text/tokens.txt");
  int lines = 0, different = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    const uint32_t hash = static_cast<uint32_t>(std::stoul(line.substr(0, 8), nullptr, 16));
    const size_t space = line.find(' ', 9);
    const std::string text = nlohmann::json::parse(line.substr(space + 1)).get<std::string>();
    const std::vector<TokenId> ids = (*tokenizer)->Encode(text);
    if (Fnv(ids) == hash) continue;
    if (++different < 10)
      ADD_FAILURE() << "line " << lines + 1 << ": " << ids.size() << " tokens against " << line.substr(9, space - 9)
                    << " for " << line.substr(space + 1);
  }
  EXPECT_EQ(lines, 20000);
  EXPECT_EQ(different, 0);
}

}  // namespace
}  // namespace tokenworks
