// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/characters.h"
#include "text/jinja/filters.h"
#include "text/jinja/format.h"
#include "text/jinja/iterate.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"

namespace tokenworks::text::jinja {
namespace {

int64_t Integer(const Arguments& a, size_t index, const char* name, int64_t fallback) {
  const Value* v = a.Get(index, name);
  return v && !v->is_none() ? v->integer() : fallback;
}
bool Flag(const Arguments& a, size_t index, const char* name, bool fallback = false) {
  const Value* v = a.Get(index, name);
  return v ? v->truthy() : fallback;
}

Value Trim(Runtime& r, const Value& v, const Arguments& a) {
  const Value* set = a.Get(0, "chars");
  return Strip(ToText(r, v), set && !set->is_none() ? &set->bytes() : nullptr, Side::kBoth);
}

Value ReplaceFilter(Runtime& r, const Value& v, const Arguments& a) {
  return Replace(r, ToText(r, v), ToText(r, a.Need(0, "old")), ToText(r, a.Need(1, "new")), Integer(a, 2, "count", -1));
}

Value Indent(Runtime& r, const Value& v, const Arguments& a) {
  const Value* width = a.Get(0, "width");
  const bool first = Flag(a, 1, "first"), blank = Flag(a, 2, "blank");
  Text pad;
  if (width && width->is_text())
    pad = width->text();
  else
    pad = Pad(r, {}, width ? width->integer() : 4, 0, Text(" "));
  TextBuilder out(r);
  if (first) out += pad;
  Text source = ToText(r, v);
  source += Text("\n");  // so that the line end of the last line is kept
  const List lines = SplitLines(r, source, false);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.Trusted("\n");
    if (i > 0 && (blank || !lines[i].bytes().empty())) out += pad;
    out += lines[i].text();
  }
  return out.Take();
}

Value Truncate(Runtime& r, const Value& v, const Arguments& a) {
  const Text t = ToText(r, v);
  const int64_t length = Integer(a, 0, "length", 255), leeway = Integer(a, 3, "leeway", 5);
  const bool kill_words = Flag(a, 1, "killwords");
  const Value* end = a.Get(2, "end");
  const Text tail = end ? end->text() : Text("...");
  const int64_t room = length - CharacterCount(tail.bytes);
  if (room < 0) throw TemplateError("truncate: the end is longer than the length");
  if (CharacterCount(t.bytes) <= length + leeway) return t;
  Text out = t.Slice(0, CharacterOffset(t.bytes, room));
  if (const size_t space = out.bytes.rfind(' '); !kill_words && space != std::string::npos) out = out.Slice(0, space);
  return out += tail;
}

Value WordCount(Runtime& r, const Value& v, const Arguments&) {
  const Text t = ToText(r, v);
  int64_t words = 0;
  bool inside = false;
  for (size_t i = 0; i < t.bytes.size(); i += CharacterSize(t.bytes, i)) {
    const bool letter = Is(CharacterClass::kWord, std::string_view(t.bytes).substr(i, CharacterSize(t.bytes, i)));
    words += letter && !inside;
    inside = letter;
  }
  return words;
}

Value ToJsonFilter(Runtime& r, const Value& v, const Arguments& a) {
  JsonStyle style;
  style.ascii = Flag(a, 0, "ensure_ascii");
  if (const Value* indent = a.Get(1, "indent"); indent && !indent->is_none()) {
    style.indent = indent->is_text() ? indent->text() : Pad(r, {}, indent->integer(), 0, Text(" "));
    style.item_separator = Text(",");
  }
  if (const Value* separators = a.Get(2, "separators"); separators && !separators->is_none()) {
    if (separators->list().size() != 2) throw TemplateError("tojson: separators are two strings");
    style.item_separator = separators->list()[0].text();
    style.key_separator = separators->list()[1].text();
  }
  style.sorted = Flag(a, 3, "sort_keys");
  return ToJson(r, v, style);
}

Value FormatFilter(Runtime& r, const Value& v, const Arguments& a) {
  if (a.named.empty()) return PercentFormat(r, ToText(r, v), Tuple(a.positional));
  Dict named;
  for (const auto& [key, value] : a.named) named.emplace_back(Text(key), value);
  return PercentFormat(r, ToText(r, v), Value(std::move(named)));
}

Value Safe(Runtime& r, const Value& v, const Arguments&) {
  Text t = ToText(r, v);
  t.markup = true;
  return t;
}

Value Escape(Runtime& r, const Value& v, const Arguments&) {
  return v.is_text() && v.text().markup ? v : Value(EscapeHtml(r, ToText(r, v)));
}

}  // namespace

const NamedFilter kTextFilters[] = {
    {"trim", Trim},
    {"replace", ReplaceFilter},
    {"indent", Indent},
    {"truncate", Truncate},
    {"wordcount", WordCount},
    {"tojson", ToJsonFilter},
    {"format", FormatFilter},
    {"safe", Safe},
    {"escape", Escape},
    {"e", Escape},
    {"upper", [](Runtime& r, const Value& v, const Arguments&) -> Value { return Upper(ToText(r, v)); }},
    {"lower", [](Runtime& r, const Value& v, const Arguments&) -> Value { return Lower(ToText(r, v)); }},
    {"capitalize", [](Runtime& r, const Value& v, const Arguments&) -> Value { return Capitalize(ToText(r, v)); }},
    {"title", [](Runtime& r, const Value& v, const Arguments&) -> Value { return TitleWords(ToText(r, v)); }},
    {"string", [](Runtime& r, const Value& v, const Arguments&) -> Value { return ToText(r, v); }},
    {"center",
     [](Runtime& r, const Value& v, const Arguments& a) -> Value {
       return Center(r, ToText(r, v), Integer(a, 0, "width", 80), Text(" "));
     }},
    {nullptr, nullptr},
};

}  // namespace tokenworks::text::jinja
