// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <string_view>

#include "text/jinja/format.h"
#include "text/jinja/iterate.h"
#include "text/jinja/methods.h"
#include "text/jinja/strings.h"

namespace tokenworks::text::jinja {
namespace {

using Body = Value (*)(Runtime&, const Text&, const Arguments&);

const std::string* Set(const Arguments& a, const char* name) {
  const Value* v = a.Get(0, name);
  return v && !v->is_none() ? &v->bytes() : nullptr;
}
int64_t Integer(const Arguments& a, size_t index, const char* name, int64_t fallback) {
  const Value* v = a.Get(index, name);
  return v && !v->is_none() ? v->integer() : fallback;
}
Text Fill(const Arguments& a) {
  const Value* fill = a.Get(1, "fillchar");
  return fill ? fill->text() : Text(" ");
}

// The part that the optional arguments `start` and `end` leave, and where it begins.
struct Window {
  std::string_view text;
  size_t at;
  bool valid;  // a start beyond the end finds nothing, not even an empty string
};
Window Within(const Text& t, const Arguments& a) {
  const int64_t n = a.positional.size() > 1 ? CharacterCount(t.bytes) : 0;
  if (a.positional.size() < 2) return {t.bytes, 0, true};
  const auto clip = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
  const int64_t from = Integer(a, 1, "start", 0), to = clip(Integer(a, 2, "end", n));
  const size_t begin = CharacterOffset(t.bytes, clip(from)), end = CharacterOffset(t.bytes, std::max(clip(from), to));
  return {std::string_view(t.bytes).substr(begin, end - begin), begin, from <= n && clip(from) <= to};
}

template <bool kStart>
Value Affix(Runtime&, const Text& t, const Arguments& a) {
  const Window w = Within(t, a);
  const auto matches = [&](const Value& v) {
    return w.valid && (kStart ? w.text.starts_with(v.bytes()) : w.text.ends_with(v.bytes()));
  };
  const Value& affix = a.Need(0, "prefix");
  if (!affix.is_sequence(SequenceKind::kTuple)) return matches(affix);
  return std::any_of(affix.list().begin(), affix.list().end(), matches);
}

template <bool kLast, bool kRequired>
Value Find(Runtime&, const Text& t, const Arguments& a) {
  const Window w = Within(t, a);
  const std::string& needle = a.Need(0, "sub").bytes();
  const size_t found = !w.valid ? std::string_view::npos : kLast ? w.text.rfind(needle) : w.text.find(needle);
  if (found != std::string_view::npos) return CharacterCount(std::string_view(t.bytes).substr(0, w.at + found));
  if (kRequired) throw TemplateError("index: the substring is not found");
  return -1;
}

Value Count(Runtime&, const Text& t, const Arguments& a) {
  const Window w = Within(t, a);
  const std::string& needle = a.Need(0, "sub").bytes();
  if (!w.valid) return 0;
  if (needle.empty()) return CharacterCount(w.text) + 1;
  int64_t n = 0;
  for (size_t at = 0; (at = w.text.find(needle, at)) != std::string_view::npos; at += needle.size()) ++n;
  return n;
}

// All characters pass, and there is one.
template <typename Pass>
bool AllOf(const Text& t, Pass pass) {
  for (size_t i = 0; i < t.bytes.size(); i += CharacterSize(t.bytes, i))
    if (!pass(std::string_view(t.bytes).substr(i, CharacterSize(t.bytes, i)))) return false;
  return !t.bytes.empty();
}
template <CharacterClass kClass, CharacterClass kOther = kClass>
Value AllAre(Runtime&, const Text& t, const Arguments&) {
  return AllOf(t, [](std::string_view c) { return Is(kClass, c) || Is(kOther, c); });
}

Value SwapCase(Runtime&, const Text& t, const Arguments&) {
  Text out;
  for (size_t i = 0; i < t.bytes.size(); i += CharacterSize(t.bytes, i)) {
    const Text c = t.Slice(i, CharacterSize(t.bytes, i));
    out += Is(CharacterClass::kUpper, c.bytes) ? Lower(c) : Upper(c);
  }
  return out;
}

Value IsTitle(Runtime&, const Text& t, const Arguments&) {
  const bool cased = !AllOf(t, [](std::string_view c) { return !Is(CharacterClass::kAlphabetic, c); });
  return cased && TitleLetters(t).bytes == t.bytes;
}

Value Join(Runtime& r, const Text& t, const Arguments& a) {
  TextBuilder out(r);
  bool first = true;
  for (const Value& part : Iterate(r, a.Need(0, "iterable"))) {
    if (!std::exchange(first, false)) out += t;
    out += part.text();
  }
  return out.Take();
}

template <bool kLast>
Value Partition(Runtime&, const Text& t, const Arguments& a) {
  const Text& separator = a.Need(0, "sep").text();
  if (separator.bytes.empty()) throw TemplateError("partition by an empty string");
  const size_t found = kLast ? t.bytes.rfind(separator.bytes) : t.bytes.find(separator.bytes);
  if (found == std::string::npos) return kLast ? Tuple({"", "", t}) : Tuple({t, "", ""});
  return Tuple({t.Slice(0, found), separator, t.Slice(found + separator.bytes.size())});
}

Value ZeroFill(Runtime& r, const Text& t, const Arguments& a) {
  const int64_t missing = a.Need(0, "width").integer() - CharacterCount(t.bytes);
  const size_t sign = !t.bytes.empty() && (t.bytes[0] == '-' || t.bytes[0] == '+') ? 1 : 0;
  Text out = t.Slice(0, sign);
  return out += Pad(r, t.Slice(sign), missing, 0, Text("0"));
}

Value ExpandTabs(Runtime& r, const Text& t, const Arguments& a) {
  const int64_t width = Integer(a, 0, "tabsize", 8);
  TextBuilder out(r);
  int64_t column = 0;
  for (size_t i = 0; i < t.bytes.size(); i += CharacterSize(t.bytes, i)) {
    const char c = t.bytes[i];
    if (c == '\t') {
      const int64_t spaces = width > 0 ? width - column % width : 0;
      out.Repeat(Text(" "), spaces);
      column += spaces;
      continue;
    }
    out += t.Slice(i, CharacterSize(t.bytes, i));
    column = c == '\n' || c == '\r' ? 0 : column + 1;
  }
  return out.Take();
}

const std::map<std::string_view, Body>& Methods() {
  static const std::map<std::string_view, Body> kMethods = {
      {"strip",
       [](Runtime&, const Text& t, const Arguments& a) -> Value { return Strip(t, Set(a, "chars"), Side::kBoth); }},
      {"lstrip",
       [](Runtime&, const Text& t, const Arguments& a) -> Value { return Strip(t, Set(a, "chars"), Side::kLeft); }},
      {"rstrip",
       [](Runtime&, const Text& t, const Arguments& a) -> Value { return Strip(t, Set(a, "chars"), Side::kRight); }},
      {"split",
       [](Runtime& r, const Text& t, const Arguments& a) -> Value {
         return Split(r, t, Set(a, "sep"), Integer(a, 1, "maxsplit", -1));
       }},
      {"rsplit",
       [](Runtime& r, const Text& t, const Arguments& a) -> Value {
         return SplitFromRight(r, t, Set(a, "sep"), Integer(a, 1, "maxsplit", -1));
       }},
      {"splitlines",
       [](Runtime& r, const Text& t, const Arguments& a) -> Value {
         const Value* keep = a.Get(0, "keepends");
         return SplitLines(r, t, keep && keep->truthy());
       }},
      {"replace",
       [](Runtime& r, const Text& t, const Arguments& a) -> Value {
         return Replace(r, t, a.Need(0, "old").text(), a.Need(1, "new").text(), Integer(a, 2, "count", -1));
       }},
      {"startswith", Affix<true>},
      {"endswith", Affix<false>},
      {"find", Find<false, false>},
      {"rfind", Find<true, false>},
      {"index", Find<false, true>},
      {"rindex", Find<true, true>},
      {"count", Count},
      {"upper", [](Runtime&, const Text& t, const Arguments&) -> Value { return Upper(t); }},
      {"lower", [](Runtime&, const Text& t, const Arguments&) -> Value { return Lower(t); }},
      {"casefold",
       [](Runtime& r, const Text& t, const Arguments&) -> Value {
         return Replace(r, Lower(t), Text("ß"), Text("ss"), -1);
       }},
      {"capitalize", [](Runtime&, const Text& t, const Arguments&) -> Value { return Capitalize(t); }},
      {"title", [](Runtime&, const Text& t, const Arguments&) -> Value { return TitleLetters(t); }},
      {"swapcase", SwapCase},
      {"isdigit", AllAre<CharacterClass::kDecimal>},
      {"isdecimal", AllAre<CharacterClass::kDecimal>},
      {"isnumeric", AllAre<CharacterClass::kNumeric>},
      {"isalpha", AllAre<CharacterClass::kAlphabetic>},
      {"isalnum", AllAre<CharacterClass::kAlphabetic, CharacterClass::kNumeric>},
      {"isspace", [](Runtime&, const Text& t, const Arguments&) -> Value { return AllOf(t, IsSpace); }},
      {"isascii",
       [](Runtime&, const Text& t, const Arguments&) -> Value {
         return t.bytes.empty() || AllOf(t, [](std::string_view c) { return CodePoint(c) < 0x80; });
       }},
      {"isidentifier",
       [](Runtime&, const Text& t, const Arguments&) -> Value {
         return AllOf(t, [](std::string_view c) { return Is(CharacterClass::kWord, c); }) &&
                !Is(CharacterClass::kNumeric, t.bytes);
       }},
      {"isupper",
       [](Runtime&, const Text& t, const Arguments&) -> Value { return HasOnlyCase(t, CharacterClass::kUpper); }},
      {"islower",
       [](Runtime&, const Text& t, const Arguments&) -> Value { return HasOnlyCase(t, CharacterClass::kLower); }},
      {"istitle", IsTitle},
      {"join", Join},
      {"partition", Partition<false>},
      {"rpartition", Partition<true>},
      {"removeprefix",
       [](Runtime&, const Text& t, const Arguments& a) -> Value {
         const std::string& p = a.Need(0, "prefix").bytes();
         return t.bytes.starts_with(p) ? t.Slice(p.size()) : t;
       }},
      {"removesuffix",
       [](Runtime&, const Text& t, const Arguments& a) -> Value {
         const std::string& p = a.Need(0, "suffix").bytes();
         return t.bytes.ends_with(p) ? t.Slice(0, t.bytes.size() - p.size()) : t;
       }},
      {"zfill", ZeroFill},
      {"center",
       [](Runtime& r, const Text& t, const Arguments& a) -> Value {
         return Center(r, t, a.Need(0, "width").integer(), Fill(a));
       }},
      {"ljust",
       [](Runtime& r, const Text& t, const Arguments& a) -> Value {
         return Pad(r, t, 0, a.Need(0, "width").integer() - CharacterCount(t.bytes), Fill(a));
       }},
      {"rjust",
       [](Runtime& r, const Text& t, const Arguments& a) -> Value {
         return Pad(r, t, a.Need(0, "width").integer() - CharacterCount(t.bytes), 0, Fill(a));
       }},
      {"expandtabs", ExpandTabs},
      {"format", [](Runtime& r, const Text& t, const Arguments& a) -> Value { return BraceFormat(r, t, a); }},
  };
  return kMethods;
}

constexpr std::string_view kTakeNothing[] = {
    "upper",   "lower",   "casefold", "capitalize", "title",        "swapcase", "isdigit", "isdecimal", "isnumeric",
    "isalpha", "isalnum", "isspace",  "isascii",    "isidentifier", "isupper",  "islower", "istitle"};

}  // namespace

bool HasOnlyCase(const Text& t, CharacterClass wanted) {
  const CharacterClass other = wanted == CharacterClass::kUpper ? CharacterClass::kLower : CharacterClass::kUpper;
  bool found = false;
  for (size_t i = 0; i < t.bytes.size(); i += CharacterSize(t.bytes, i)) {
    const std::string_view c = std::string_view(t.bytes).substr(i, CharacterSize(t.bytes, i));
    if (Is(other, c)) return false;
    found |= Is(wanted, c);
  }
  return found;
}

Value TextMethod(const Value& v, const std::string& name) {
  for (const char* known : {"encode", "translate", "maketrans", "format_map", "isprintable"})
    if (name == known)
      return Function([name](Runtime&, const Arguments&) -> Value {
        throw UnsupportedFeature("the string method '" + name + "'");
      });
  const auto it = Methods().find(name);
  if (it == Methods().end()) return Value();
  const bool bare = std::find(std::begin(kTakeNothing), std::end(kTakeNothing), name) != std::end(kTakeNothing);
  return Function([v, name, bare, body = it->second](Runtime& r, const Arguments& a) -> Value {
    if (bare && !(a.positional.empty() && a.named.empty()))
      throw TemplateError("str." + name + "() takes no arguments");
    r.Work(v.bytes().size() / 4 + 1);
    return body(r, v.text(), a);
  });
}

}  // namespace tokenworks::text::jinja
