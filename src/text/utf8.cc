// SPDX-License-Identifier: Apache-2.0
#include "text/utf8.h"

#include <cstdint>

namespace tokenworks::text {
namespace {

enum class Kind { kComplete, kBad, kIncomplete };
struct Scan {
  Kind kind;
  size_t size;  // bytes of the sequence, or of the maximal bad part
};

// Unicode 15, table 3-7.
Scan ScanOne(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(s[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {Kind::kComplete, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Kind::kBad, 1};
  const size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint8_t low = 0x80, high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (size_t i = 1; i < size; ++i) {
    if (i >= s.size()) return {Kind::kIncomplete, i};
    if (byte(i) < low || byte(i) > high) return {Kind::kBad, i};
    low = 0x80, high = 0xBF;
  }
  return {Kind::kComplete, size};
}

}  // namespace

bool IsValidUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Scan scan = ScanOne(bytes);
    if (scan.kind != Kind::kComplete) return false;
    bytes.remove_prefix(scan.size);
  }
  return true;
}

size_t AppendUtf8Lossy(std::string_view bytes, bool final, std::string* out) {
  size_t at = 0;
  while (at < bytes.size()) {
    const Scan scan = ScanOne(bytes.substr(at));
    if (scan.kind == Kind::kIncomplete && !final) return at;
    if (scan.kind == Kind::kComplete)
      out->append(bytes.substr(at, scan.size));
    else
      out->append("\xEF\xBF\xBD");
    at += scan.size;
  }
  return at;
}

}  // namespace tokenworks::text
