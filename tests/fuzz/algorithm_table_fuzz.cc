// SPDX-License-Identifier: Apache-2.0
// Tables of tuned algorithms: refused, or exactly what this program writes. Lines are tried under a head and a last
// line that fit them too, which random bytes would never have.
#include "fuzz_target.h"
#include "platform/device/algorithm_table.h"

namespace {

using namespace tokenworks::device;

const TableSubject kSubject = {.card = "NVIDIA H200", .compute_capability = 90, .library_version = 130100};

bool Accepts(const std::string& text) {
  const auto table = ParseTable(text, kSubject);
  if (!table.ok()) {
    const std::string said(table.status().message());
    FUZZ_EXPECT(!said.empty() && said.size() < 400);
    for (const char c : said) FUZZ_EXPECT(c >= ' ' && c <= '~');
    return false;
  }
  FUZZ_EXPECT(table->size() <= kAlgorithmsMax);
  for (const auto& [shape, algorithm] : *table) FUZZ_EXPECT(IsStorable(shape, algorithm));
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (Accepts(text)) FUZZ_EXPECT(PrintTable(kSubject, *ParseTable(text, kSubject)) == text);
  static const std::string head = [] {
    const std::string empty = PrintTable(kSubject, {});
    return empty.substr(0, empty.find('\n') + 1);
  }();
  std::string lines = head + text.substr(0, text.rfind("end "));
  if (lines.back() != '\n') lines += '\n';
  lines += PrintTableEnd(lines);
  if (!Accepts(lines)) return 0;
  const std::string sorted = PrintTable(kSubject, *ParseTable(lines, kSubject));  // by shape
  FUZZ_EXPECT(sorted.size() == lines.size() && Accepts(sorted));
  return 0;
}

std::vector<std::string> Seeds() {
  AlgorithmTable table;
  for (int rows : {4, 16, 1024}) {
    TunedAlgorithm a;
    for (size_t i = 0; i < a.bytes.size(); ++i) a.bytes[i] = static_cast<uint8_t>(rows * 31 + static_cast<int>(i) * 7);
    a.microseconds = rows * 1.625;
    table[{.rows = rows, .outputs = 6144, .inputs = 4096}] = a;
    table[{.rows = rows, .outputs = 128256, .inputs = 4096, .float_result = true, .accumulate = rows == 4}] = a;
  }
  const std::string text = PrintTable(kSubject, table);
  return {text, text.substr(text.find('\n') + 1), PrintTable(kSubject, {})};
}
