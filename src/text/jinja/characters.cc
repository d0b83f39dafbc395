// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/characters.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <memory>

namespace tokenworks::text::jinja {
namespace {

constexpr int kClasses = 7;
// In the order of CharacterClass.
constexpr std::array<const char*, kClasses> kPatterns = {R"(\p{L})",  R"(\p{Lu})",        R"(\p{Ll})",      R"(\p{N})",
                                                         R"(\p{Nd})", R"([\p{L}\p{N}_])", R"([\p{C}\p{Z}])"};

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;

Code Compile(const char* pattern) {
  int error = 0;
  PCRE2_SIZE at = 0;
  return Code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &at, nullptr));
}

const pcre2_code* Compiled(CharacterClass c) {
  static const std::array<Code, kClasses> kCodes = [] {
    std::array<Code, kClasses> codes;
    for (int i = 0; i < kClasses; ++i) codes[i] = Compile(kPatterns[i]);
    return codes;
  }();
  return kCodes[static_cast<size_t>(c)].get();
}

// One character mapped by PCRE2's case forcing; the character itself where it has no other case.
std::string ForceCase(std::string_view character, bool upper) {
  static const Code kAny = Compile("(?s).");
  const char* replacement = upper ? "\\U$0" : "\\L$0";
  PCRE2_UCHAR buffer[16];
  PCRE2_SIZE size = sizeof buffer;
  const int n = pcre2_substitute(kAny.get(), reinterpret_cast<PCRE2_SPTR>(character.data()), character.size(), 0,
                                 PCRE2_SUBSTITUTE_EXTENDED, nullptr, nullptr, reinterpret_cast<PCRE2_SPTR>(replacement),
                                 PCRE2_ZERO_TERMINATED, buffer, &size);
  return n < 0 ? std::string(character) : std::string(reinterpret_cast<const char*>(buffer), size);
}

// Characters whose upper case has more than one.
struct Expansion {
  std::string_view from, to;
};
constexpr Expansion kUpperExpansions[] = {{"ß", "SS"},  {"ﬀ", "FF"},  {"ﬁ", "FI"}, {"ﬂ", "FL"},
                                          {"ﬃ", "FFI"}, {"ﬄ", "FFL"}, {"ﬅ", "ST"}, {"ﬆ", "ST"},
                                          {"ŉ", "ʼN"},  {"ǰ", "J̌"},   {"և", "ԵՒ"}};

Text MapCase(const Text& t, bool upper) {
  Text out;
  for (size_t i = 0; i < t.bytes.size();) {
    const size_t n = CharacterSize(t.bytes, i);
    const std::string_view character = std::string_view(t.bytes).substr(i, n);
    const bool user = t.user[i] != 0;
    const unsigned char c = t.bytes[i];
    if (c < 0x80) {
      const bool changes = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
      out.bytes += static_cast<char>(changes ? c ^ 0x20 : c);
      out.user += t.user[i];
    } else {
      const auto* expansion = upper ? std::find_if(std::begin(kUpperExpansions), std::end(kUpperExpansions),
                                                   [&](const Expansion& e) { return e.from == character; })
                                    : std::end(kUpperExpansions);
      out += Text(expansion != std::end(kUpperExpansions) ? std::string(expansion->to) : ForceCase(character, upper),
                  user);
    }
    i += n;
  }
  return out;
}

}  // namespace

size_t CharacterSize(std::string_view s, size_t at) {
  size_t n = 1;
  while (at + n < s.size() && (static_cast<unsigned char>(s[at + n]) & 0xC0) == 0x80) ++n;
  return n;
}

int64_t CharacterCount(std::string_view s) {
  return std::count_if(s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

size_t CharacterOffset(std::string_view s, int64_t index) {
  size_t at = 0;
  for (; index > 0 && at < s.size(); --index) at += CharacterSize(s, at);
  return at;
}

uint32_t CodePoint(std::string_view c) {
  const auto low = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(c[i]) & 0x3F); };
  const uint32_t lead = static_cast<unsigned char>(c[0]);
  switch (c.size()) {
    case 2:
      return ((lead & 0x1F) << 6) | low(1);
    case 3:
      return ((lead & 0x0F) << 12) | (low(1) << 6) | low(2);
    case 4:
      return ((lead & 0x07) << 18) | (low(1) << 12) | (low(2) << 6) | low(3);
    default:
      return lead;
  }
}

void AppendUtf8(uint32_t code, std::string* out) {
  const auto tail = [&](int shift) { *out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    *out += static_cast<char>(code);
  } else if (code < 0x800) {
    *out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    *out += static_cast<char>(0xE0 | (code >> 12));
    tail(6), tail(0);
  } else {
    *out += static_cast<char>(0xF0 | (code >> 18));
    tail(12), tail(6), tail(0);
  }
}

bool Is(CharacterClass c, std::string_view character) {
  const std::unique_ptr<pcre2_match_data, FreeMatch> data(pcre2_match_data_create(1, nullptr));
  return pcre2_match(Compiled(c), reinterpret_cast<PCRE2_SPTR>(character.data()), character.size(), 0, 0, data.get(),
                     nullptr) > 0;
}

bool IsSpace(std::string_view character) {
  const uint32_t c = CodePoint(character);
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool IsLineEnd(std::string_view character) {
  const uint32_t c = CodePoint(character);
  return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

Text Upper(const Text& t) { return MapCase(t, true); }
Text Lower(const Text& t) { return MapCase(t, false); }

}  // namespace tokenworks::text::jinja
