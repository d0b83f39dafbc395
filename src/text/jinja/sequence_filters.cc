// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/filters.h"
#include "text/jinja/iterate.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"

namespace tokenworks::text::jinja {
namespace {

bool Flag(const Arguments& a, size_t index, const char* name) {
  const Value* v = a.Get(index, name);
  return v && v->truthy();
}

// What sort, unique and groupby compare: attributes ("a,b" = both), strings without their case.
Value SortKey(Runtime& r, const Value& item, const Value* attribute, bool case_sensitive) {
  const auto folded = [&](const Value& v) { return v.is_text() && !case_sensitive ? Value(Lower(v.text())) : v; };
  if (attribute == nullptr || attribute->is_none()) return folded(item);
  if (!attribute->is_text() || attribute->bytes().find(',') == std::string::npos)
    return folded(AttributePath(r, item, *attribute));
  const std::string comma = ",";
  List keys;
  for (const Value& path : Split(r, attribute->text(), &comma, -1))
    keys.push_back(folded(AttributePath(r, item, path)));
  return Tuple(std::move(keys));
}

// Stable; std::stable_sort may not be given a comparison that throws half way through its moves, so indices are sorted.
List SortedBy(Runtime& r, const List& items, const List& keys, bool reverse) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  r.Work(items.size() * 2 * kElementWork);
  std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) {
    return reverse ? Compare(r, keys[y], keys[x]) < 0 : Compare(r, keys[x], keys[y]) < 0;
  });
  List out;
  for (const size_t i : order) out.push_back(items[i]);
  return out;
}

Value Sort(Runtime& r, const Value& v, const Arguments& a) {
  const List items = Iterate(r, v);
  List keys;
  for (const Value& item : items) keys.push_back(SortKey(r, item, a.Get(2, "attribute"), Flag(a, 1, "case_sensitive")));
  return SortedBy(r, items, keys, Flag(a, 0, "reverse"));
}

Value DictSort(Runtime& r, const Value& v, const Arguments& a) {
  const Value* by = a.Get(1, "by");
  const std::string what = by ? by->bytes() : "key";
  if (what != "key" && what != "value") throw TemplateError("dictsort: 'by' is key or value");
  const List items = Items(r, v);
  List keys;
  for (const Value& item : items)
    keys.push_back(SortKey(r, item.list()[what == "key" ? 0 : 1], nullptr, Flag(a, 0, "case_sensitive")));
  return SortedBy(r, items, keys, Flag(a, 2, "reverse"));
}

Value Unique(Runtime& r, const Value& v, const Arguments& a) {
  List out, seen;
  for (const Value& item : Iterate(r, v)) {
    Value key = SortKey(r, item, a.Get(1, "attribute"), Flag(a, 0, "case_sensitive"));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& s) { return Equal(r, s, key); })) continue;
    seen.push_back(std::move(key));
    out.push_back(item);
  }
  return Generator(std::move(out));
}

Value GroupBy(Runtime& r, const Value& v, const Arguments& a) {
  const Value& attribute = a.Need(0, "attribute");
  const Value* fallback = a.Get(1, "default");
  const bool sensitive = Flag(a, 2, "case_sensitive");
  const List items = Iterate(r, v);
  List found, keys;
  for (const Value& item : items) {
    const Value key = AttributePath(r, item, attribute, fallback);
    found.push_back(key);
    keys.push_back(key.is_text() && !sensitive ? Value(Lower(key.text())) : key);
  }
  List numbers, groups;
  for (size_t i = 0; i < items.size(); ++i) numbers.push_back(static_cast<int64_t>(i));
  const List order = SortedBy(r, numbers, keys, false);
  for (size_t i = 0; i < order.size();) {
    const size_t first = static_cast<size_t>(order[i].integer());
    List members;
    for (; i < order.size() && Equal(r, keys[static_cast<size_t>(order[i].integer())], keys[first]); ++i)
      members.push_back(items[static_cast<size_t>(order[i].integer())]);
    groups.push_back(Value(List{found[first], Value(std::move(members))}, SequenceKind::kGroup));
  }
  return groups;
}

Value Batch(Runtime& r, const Value& v, const Arguments& a) {
  const int64_t size = a.Need(0, "linecount").integer();
  const Value* fill = a.Get(1, "fill_with");
  if (size <= 0) throw TemplateError("batch needs a size above 0");
  List out, row;
  for (const Value& item : Iterate(r, v)) {
    if (static_cast<int64_t>(row.size()) == size) out.push_back(std::exchange(row, {}));
    row.push_back(item);
  }
  while (!row.empty() && fill && !fill->is_none() && static_cast<int64_t>(row.size()) < size) {
    r.Work(kElementWork);
    row.push_back(*fill);
  }
  if (!row.empty()) out.push_back(std::move(row));
  return Generator(std::move(out));
}

Value SliceFilter(Runtime& r, const Value& v, const Arguments& a) {
  const int64_t slices = a.Need(0, "slices").integer();
  const Value* fill = a.Get(1, "fill_with");
  if (slices <= 0) throw TemplateError("slice needs a number above 0");
  const List items = Iterate(r, v);
  const int64_t n = static_cast<int64_t>(items.size()), each = n / slices, longer = n % slices;
  List out;
  for (int64_t i = 0, at = 0; i < slices; ++i) {
    r.Work(4 * kElementWork);
    const int64_t size = each + (i < longer ? 1 : 0);
    List part(items.begin() + at, items.begin() + at + size);
    if (fill && !fill->is_none() && i >= longer) part.push_back(*fill);
    out.push_back(std::move(part));
    at += size;
  }
  return Generator(std::move(out));
}

Value First(Runtime& r, const Value& v, const Arguments&) {
  if (v.is_sequence(SequenceKind::kGenerator) && !v.list().empty()) {
    Value first = v.list().front();
    v.sequence().items.erase(v.sequence().items.begin());
    return first;
  }
  const List items = Iterate(r, v);
  return items.empty() ? Value(Undefined("no first item, the sequence is empty")) : items.front();
}

Value Last(Runtime& r, const Value& v, const Arguments&) {
  if (v.is_sequence(SequenceKind::kGenerator))
    throw TemplateError("a generator has no last item; put 'list' before 'last'");
  const List items = Iterate(r, v);
  return items.empty() ? Value(Undefined("no last item, the sequence is empty")) : items.back();
}

Value Reverse(Runtime& r, const Value& v, const Arguments&) {
  List items = Iterate(r, v);
  std::reverse(items.begin(), items.end());
  if (!v.is_text()) return Generator(std::move(items));
  TextBuilder out(r);
  for (const Value& c : items) out += c.text();
  return out.Take();
}

Value Join(Runtime& r, const Value& v, const Arguments& a) {
  const Value* separator = a.Get(0, "d");
  const Value* attribute = a.Get(1, "attribute");
  const Text between = separator ? ToText(r, *separator) : Text();
  List parts = Iterate(r, v);
  bool markup = between.markup, first = true;
  for (Value& part : parts) {
    part = ToText(r, attribute && !attribute->is_none() ? AttributePath(r, part, *attribute) : part);
    markup |= part.text().markup;
  }
  const auto escaped = [&](const Text& t) { return markup && !t.markup ? EscapeHtml(r, t) : t; };
  TextBuilder out(r);
  for (const Value& part : parts) {
    if (!std::exchange(first, false)) out += escaped(between);
    out += escaped(part.text());
  }
  Text joined = out.Take();
  joined.markup = markup;
  return joined;
}

}  // namespace

const NamedFilter kSequenceFilters[] = {
    {"sort", Sort},
    {"dictsort", DictSort},
    {"unique", Unique},
    {"groupby", GroupBy},
    {"batch", Batch},
    {"slice", SliceFilter},
    {"first", First},
    {"last", Last},
    {"reverse", Reverse},
    {"join", Join},
    {"list", [](Runtime& r, const Value& v, const Arguments&) -> Value { return Iterate(r, v); }},
    {"length", [](Runtime&, const Value& v, const Arguments&) -> Value { return Length(v); }},
    {"count", [](Runtime&, const Value& v, const Arguments&) -> Value { return Length(v); }},
    {"items",
     [](Runtime& r, const Value& v, const Arguments&) -> Value {
       return Generator(v.is_undefined() ? List{} : Items(r, v));
     }},
    {nullptr, nullptr},
};

}  // namespace tokenworks::text::jinja
