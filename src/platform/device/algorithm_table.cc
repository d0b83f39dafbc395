// SPDX-License-Identifier: Apache-2.0
#include "platform/device/algorithm_table.h"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <vector>

#include "platform/base/str_cat.h"

namespace tokenworks::device {
namespace {

using base::StrCat;

// Changed with the lines, and with what a shape means (element types, layouts, workspace).
constexpr int kFormat = 1;
constexpr int kRowsMax = 1 << 20, kWidthMax = 1 << 24;
constexpr double kMicrosecondsMin = 0.001, kMicrosecondsMax = 1e7;
constexpr size_t kFields = 7, kShown = 120;
constexpr std::string_view kDigits = "0123456789abcdef";

// Bytes of unknown origin as part of a sentence.
std::string Shown(std::string_view text) {
  std::string out(text.substr(0, kShown));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

std::string PrintHead(const TableSubject& s) {
  return StrCat("tokenworks-algorithms ", kFormat, " cublasLt ", s.library_version, " sm_", s.compute_capability, " ",
                Shown(s.card));
}

std::string PrintLine(const GemmShape& s, const TunedAlgorithm& a) {
  char time[32];
  std::snprintf(time, sizeof time, "%.3f", a.microseconds);
  std::string out = StrCat(s.rows, " ", s.outputs, " ", s.inputs, " ", static_cast<int>(s.float_result), " ",
                           static_cast<int>(s.accumulate), " ", time, " ");
  for (const uint8_t byte : a.bytes) out += {kDigits[byte >> 4], kDigits[byte & 15]};
  return out;
}

std::vector<std::string_view> Split(std::string_view line) {
  std::vector<std::string_view> fields;
  for (size_t end = 0; end != std::string_view::npos && fields.size() <= kFields;) {
    end = line.find(' ');
    fields.push_back(line.substr(0, end));
    if (end != std::string_view::npos) line.remove_prefix(end + 1);
  }
  return fields;
}

template <class T>
bool Read(std::string_view field, T* out) {
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), *out);
  return error == std::errc() && end == field.data() + field.size();
}

bool Read(std::string_view field, bool* out) {
  *out = field == "1";
  return *out || field == "0";
}

bool Read(std::string_view field, std::array<uint8_t, 64>* out) {
  if (field.size() != 2 * out->size()) return false;
  for (size_t i = 0; i < field.size(); ++i) {
    const size_t digit = kDigits.find(field[i]);
    if (digit == std::string_view::npos) return false;
    (*out)[i / 2] = static_cast<uint8_t>(i % 2 == 0 ? digit << 4 : (*out)[i / 2] | digit);
  }
  return true;
}

// What is wrong with the line; empty = it is read.
std::string ParseLine(std::string_view line, GemmShape* s, TunedAlgorithm* a) {
  const std::vector<std::string_view> f = Split(line);
  if (f.size() != kFields) return StrCat("it does not have ", kFields, " fields");
  if (!Read(f[0], &s->rows) || !Read(f[1], &s->outputs) || !Read(f[2], &s->inputs) || !Read(f[3], &s->float_result) ||
      !Read(f[4], &s->accumulate))
    return "it has no shape";
  if (!Read(f[5], &a->microseconds)) return "it has no time";
  if (!Read(f[6], &a->bytes)) return "its algorithm is not 64 bytes in hexadecimal";
  if (!IsStorable(*s, *a)) return "a number is out of range";
  return PrintLine(*s, *a) == line ? "" : "it is not written as this program writes it";
}

}  // namespace

bool IsStorable(const GemmShape& s, const TunedAlgorithm& a) {
  const auto within = [](int n, int most) { return n >= 1 && n <= most; };
  return within(s.rows, kRowsMax) && within(s.outputs, kWidthMax) && within(s.inputs, kWidthMax) &&
         a.microseconds >= kMicrosecondsMin && a.microseconds <= kMicrosecondsMax;
}

std::string TableFileName(const TableSubject& s) {
  std::string card = Shown(s.card);
  for (char& c : card)
    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')) c = '_';
  return StrCat(card, "-sm_", s.compute_capability, "-cublasLt-", s.library_version, ".txt");
}

std::string PrintTable(const TableSubject& subject, const AlgorithmTable& table) {
  std::string out = PrintHead(subject) + "\n";
  for (const auto& [shape, algorithm] : table) out += PrintLine(shape, algorithm) + "\n";
  return out + PrintTableEnd(out);
}

std::string PrintTableEnd(std::string_view text) {
  char out[64];
  const auto lines = std::count(text.begin(), text.end(), '\n') - 1;  // without the head
  std::snprintf(out, sizeof out, "end %lld %016llx\n", static_cast<long long>(lines),
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  return out;
}

StatusOr<AlgorithmTable> ParseTable(std::string_view text, const TableSubject& subject) {
  if (text.size() > kTableBytesMax) return absl::InvalidArgumentError(StrCat("more than ", kTableBytesMax, " bytes"));
  const std::string head = PrintHead(subject);
  const std::string_view found = text.substr(0, text.find('\n'));
  if (found != head)
    return absl::FailedPreconditionError(StrCat("its head is '", Shown(found), "' and not '", head, "'"));
  const size_t last = text.size() < 2 ? std::string_view::npos : text.rfind('\n', text.size() - 2);
  if (last == std::string_view::npos || text.substr(last + 1) != PrintTableEnd(text.substr(0, last + 1)))
    return absl::InvalidArgumentError("its last line does not confirm the lines before it: cut short or changed");
  AlgorithmTable table;
  std::string_view rest = text.substr(head.size() + 1, last - head.size());
  for (size_t number = 2; !rest.empty(); ++number) {
    GemmShape shape;
    TunedAlgorithm algorithm;
    const size_t end = rest.find('\n');
    std::string problem = ParseLine(rest.substr(0, end), &shape, &algorithm);
    if (problem.empty() && table.size() == kAlgorithmsMax) problem = StrCat("more than ", kAlgorithmsMax, " shapes");
    if (problem.empty() && !table.emplace(shape, algorithm).second) problem = "its shape stands in an earlier line";
    if (!problem.empty()) return absl::InvalidArgumentError(StrCat("line ", number, ": ", problem));
    rest.remove_prefix(end + 1);
  }
  return table;
}

}  // namespace tokenworks::device
