// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over its seeds, the files of a corpus (what was found once) and seeded mutations of both.
//   TARGET CORPUS_FOLDER MUTATIONS [--write-seeds FOLDER]
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "fuzz_target.h"

namespace {

const char* const kPieces[] = {"null",
                               "-1",
                               "1e308",
                               "[",
                               "]",
                               "{",
                               "}",
                               "{{",
                               "{%",
                               "%}",
                               "\"",
                               ",",
                               ":",
                               "\n",
                               "\t",
                               "\\ud800",
                               "\xff",
                               "\xC3",
                               "99999999999999999999",
                               "true",
                               "\\",
                               "0.5",
                               "- ",
                               "&a ",
                               "*a"};

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::string Mutate(std::string text, const std::string& other, std::mt19937_64& random) {
  for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
    const size_t at = random() % (text.size() + 1);
    switch (random() % 7) {
      case 0:
        text.insert(at, kPieces[random() % std::size(kPieces)]);
        break;
      case 1:
        text.erase(at, random() % 9);
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(random());
        break;
      case 3:
        text.insert(at, text.substr(random() % (text.size() + 1), random() % 40));
        break;
      case 4:
        text.resize(at);
        break;
      case 5:
        text.replace(at, random() % 20, other.substr(random() % (other.size() + 1), random() % 80));
        break;
      case 6: {  // a number that lengths and counts are made of
        const uint64_t values[] = {0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, UINT64_MAX, UINT64_MAX / 2, random()};
        const uint64_t v = values[random() % std::size(values)];
        const size_t bytes = random() % 2 ? 4 : 8;
        if (at + bytes <= text.size()) std::memcpy(&text[at], &v, bytes);
        break;
      }
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "%s CORPUS_FOLDER MUTATIONS [--write-seeds FOLDER]\n", argv[0]), 2;
  std::vector<std::string> inputs = Seeds();
  if (argc == 5) {
    for (size_t i = 0; i < inputs.size(); ++i)
      std::ofstream(std::string(argv[4]) + "/seed" + std::to_string(i), std::ios::binary) << inputs[i];
    return 0;
  }
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], error)) files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    std::ifstream in(file, std::ios::binary);
    std::stringstream content;
    content << in.rdbuf();
    inputs.push_back(content.str());
  }
  for (const std::string& input : inputs) Run(input);
  std::mt19937_64 random(20261127);
  const int mutations = std::atoi(argv[2]);
  for (int i = 0; i < mutations; ++i)
    Run(Mutate(inputs[random() % inputs.size()], inputs[random() % inputs.size()], random));
  std::printf("%zu inputs and %d mutations\n", inputs.size(), mutations);
}
