// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/strings.h"

#include <algorithm>

#include "text/jinja/characters.h"

namespace tokenworks::text::jinja {
namespace {

bool InSet(std::string_view character, const std::string* set) {
  if (set == nullptr) return IsSpace(character);
  for (size_t i = 0; i < set->size(); i += CharacterSize(*set, i))
    if (std::string_view(*set).substr(i, CharacterSize(*set, i)) == character) return true;
  return false;
}

std::string_view At(const Text& t, size_t i) { return std::string_view(t.bytes).substr(i, CharacterSize(t.bytes, i)); }

size_t Before(const std::string& s, size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(s[end]) & 0xC0) == 0x80);
  return end;
}

// Letters after `starts` upper, the others lower.
template <typename Starts>
Text Title(const Text& t, Starts starts) {
  Text out;
  bool start = true;
  for (size_t i = 0; i < t.bytes.size();) {
    const size_t n = CharacterSize(t.bytes, i);
    const Text character = t.Slice(i, n);
    out += start ? Upper(character) : Lower(character);
    start = starts(std::string_view(t.bytes).substr(i, n));
    i += n;
  }
  return out;
}

}  // namespace

Text Strip(const Text& t, const std::string* set, Side side) {
  size_t begin = 0, end = t.bytes.size();
  if (side != Side::kRight)
    while (begin < end && InSet(At(t, begin), set)) begin += CharacterSize(t.bytes, begin);
  if (side != Side::kLeft)
    while (end > begin && InSet(At(t, Before(t.bytes, end)), set)) end = Before(t.bytes, end);
  return t.Slice(begin, end - begin);
}

Text Replace(Runtime& runtime, const Text& t, const Text& from, const Text& to, int64_t count) {
  TextBuilder out(runtime);
  size_t at = 0;
  for (; count != 0; --count) {
    const size_t found = t.bytes.find(from.bytes, at);
    if (found == std::string::npos) break;
    out += t.Slice(at, found - at);
    out += to;
    at = found + from.bytes.size();
    if (!from.bytes.empty()) continue;
    if (at == t.bytes.size()) return out.Take();
    out += t.Slice(at, CharacterSize(t.bytes, at));
    at += CharacterSize(t.bytes, at);
  }
  out += t.Slice(at);
  return out.Take();
}

List Split(Runtime& runtime, const Text& t, const std::string* separator, int64_t limit) {
  List out;
  const auto add = [&](Text part) {
    runtime.Work(part.bytes.size() + 2 * kElementWork);
    out.push_back(std::move(part));
  };
  if (separator != nullptr) {
    if (separator->empty()) throw TemplateError("split by an empty string");
    size_t at = 0;
    for (size_t found; limit-- != 0 && (found = t.bytes.find(*separator, at)) != std::string::npos;
         at = found + separator->size())
      add(t.Slice(at, found - at));
    add(t.Slice(at));
    return out;
  }
  for (size_t at = 0;;) {
    while (at < t.bytes.size() && IsSpace(At(t, at))) at += CharacterSize(t.bytes, at);
    if (at == t.bytes.size()) return out;
    if (limit-- == 0) {
      add(t.Slice(at));
      return out;
    }
    const size_t begin = at;
    while (at < t.bytes.size() && !IsSpace(At(t, at))) at += CharacterSize(t.bytes, at);
    add(t.Slice(begin, at - begin));
  }
}

List SplitFromRight(Runtime& runtime, const Text& t, const std::string* separator, int64_t limit) {
  if (limit < 0) return Split(runtime, t, separator, -1);
  List out;
  if (separator != nullptr && separator->empty()) throw TemplateError("split by an empty string");
  size_t end = t.bytes.size();
  const auto skip_space = [&] {
    while (separator == nullptr && end > 0 && IsSpace(At(t, Before(t.bytes, end)))) end = Before(t.bytes, end);
  };
  for (skip_space(); limit > 0; --limit, skip_space()) {
    runtime.Work(2 * kElementWork);
    size_t begin = end;
    if (separator == nullptr) {
      while (begin > 0 && !IsSpace(At(t, Before(t.bytes, begin)))) begin = Before(t.bytes, begin);
      if (begin == 0) break;
      out.push_back(t.Slice(begin, end - begin));
      end = begin;
      continue;
    }
    if (end < separator->size()) break;
    const size_t found = t.bytes.rfind(*separator, end - separator->size());
    if (found == std::string::npos) break;
    out.push_back(t.Slice(found + separator->size(), end - found - separator->size()));
    end = found;
  }
  if (separator != nullptr || end > 0) out.push_back(t.Slice(0, end));
  std::reverse(out.begin(), out.end());
  return out;
}

List SplitLines(Runtime& runtime, const Text& t, bool keep_ends) {
  List out;
  for (size_t at = 0; at < t.bytes.size();) {
    size_t end = at;
    while (end < t.bytes.size() && !IsLineEnd(At(t, end))) end += CharacterSize(t.bytes, end);
    size_t next = end < t.bytes.size() ? end + CharacterSize(t.bytes, end) : end;
    if (t.bytes.compare(end, 2, "\r\n") == 0) next = end + 2;
    runtime.Work(end - at + 2 * kElementWork);
    out.push_back(t.Slice(at, (keep_ends ? next : end) - at));
    at = next;
  }
  return out;
}

Text Capitalize(const Text& t) {
  if (t.bytes.empty()) return t;
  const size_t n = CharacterSize(t.bytes, 0);
  Text out = Upper(t.Slice(0, n));
  if (n > 1 || out.bytes.size() == 1) return out += Lower(t.Slice(n));
  return out;
}

Text TitleLetters(const Text& t) {
  return Title(t, [](std::string_view c) { return !Is(CharacterClass::kAlphabetic, c); });
}

Text TitleWords(const Text& t) {
  return Title(
      t, [](std::string_view c) { return IsSpace(c) || c == "-" || c == "(" || c == "{" || c == "[" || c == "<"; });
}

Text Pad(Runtime& runtime, const Text& t, int64_t left, int64_t right, const Text& fill) {
  TextBuilder out(runtime);
  out.Repeat(fill, left);
  out += t;
  out.Repeat(fill, right);
  return out.Take();
}

Text Center(Runtime& runtime, const Text& t, int64_t width, const Text& fill) {
  const int64_t margin = width - CharacterCount(t.bytes);
  if (margin <= 0) return t;
  const int64_t left = margin / 2 + (margin & width & 1);  // as CPython rounds it
  return Pad(runtime, t, left, margin - left, fill);
}

Text EscapeHtml(Runtime& runtime, const Text& t) {
  TextBuilder out(runtime);
  for (size_t i = 0; i < t.bytes.size(); ++i) {
    const bool user = t.user[i] != 0;
    switch (t.bytes[i]) {
      case '&':
        out += Text("&amp;", user);
        break;
      case '<':
        out += Text("&lt;", user);
        break;
      case '>':
        out += Text("&gt;", user);
        break;
      case '\'':
        out += Text("&#39;", user);
        break;
      case '"':
        out += Text("&#34;", user);
        break;
      default:
        out += t.Slice(i, 1);
    }
  }
  Text escaped = out.Take();
  escaped.markup = true;
  return escaped;
}

Text Concatenate(Runtime& runtime, const Text& a, const Text& b) {
  const bool markup = a.markup || b.markup;
  TextBuilder out(runtime);
  out += markup && !a.markup ? EscapeHtml(runtime, a) : a;
  out += markup && !b.markup ? EscapeHtml(runtime, b) : b;
  Text joined = out.Take();
  joined.markup = markup;
  return joined;
}

}  // namespace tokenworks::text::jinja
