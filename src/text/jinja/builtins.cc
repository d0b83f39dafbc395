// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/builtins.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <ctime>
#include <map>

namespace tokenworks::text::jinja {
namespace {

constexpr std::string_view kSpace = " \t\n\r\v\f";
constexpr int64_t kMaxRange = 100000;

Text Ascii(const Text& t, int (*change)(int)) {
  Text out = t;
  for (char& c : out.bytes)
    if (static_cast<unsigned char>(c) < 0x80) c = static_cast<char>(change(c));
  return out;
}

Text Capitalize(const Text& t) {
  Text out = Ascii(t, std::tolower);
  if (!out.bytes.empty() && static_cast<unsigned char>(out.bytes[0]) < 0x80) out.bytes[0] = static_cast<char>(std::toupper(out.bytes[0]));
  return out;
}

Text Title(const Text& t) {
  Text out = Ascii(t, std::tolower);
  bool start = true;
  for (char& c : out.bytes) {
    if (start && std::isalpha(static_cast<unsigned char>(c))) c = static_cast<char>(std::toupper(c));
    start = !std::isalnum(static_cast<unsigned char>(c)) && c != '\'' && static_cast<unsigned char>(c) < 0x80;
  }
  return out;
}

Text Replace(const Text& t, const Text& from, const Text& to, int64_t count) {
  if (from.bytes.empty()) return t;
  Text out;
  size_t at = 0;
  for (; count != 0; --count) {
    const size_t found = t.bytes.find(from.bytes, at);
    if (found == std::string::npos) break;
    out += t.Slice(at, found - at);
    out += to;
    at = found + from.bytes.size();
  }
  out += t.Slice(at);
  return out;
}

List Split(const Text& t, const Value* separator, int64_t limit) {
  List out;
  size_t at = 0;
  if (separator == nullptr || separator->is_none()) {
    while (true) {
      at = t.bytes.find_first_not_of(kSpace, at);
      if (at == std::string::npos) return out;
      if (limit == 0) {
        out.push_back(Trim(t.Slice(at), kSpace, false, true));
        return out;
      }
      const size_t end = t.bytes.find_first_of(kSpace, at);
      out.push_back(t.Slice(at, end == std::string::npos ? end : end - at));
      if (end == std::string::npos) return out;
      at = end;
      --limit;
    }
  }
  const std::string& sep = separator->text().bytes;
  if (sep.empty()) throw TemplateError("split by an empty string");
  while (limit-- != 0) {
    const size_t found = t.bytes.find(sep, at);
    if (found == std::string::npos) break;
    out.push_back(t.Slice(at, found - at));
    at = found + sep.size();
  }
  out.push_back(t.Slice(at));
  return out;
}

Value Attribute(const Value& item, const Value& path) {
  if (path.is_int()) {
    const int64_t i = path.integer();
    return item.is_list() && i >= 0 && i < static_cast<int64_t>(item.list().size()) ? item.list()[i] : Value();
  }
  Value current = item;
  for (const Value& part : Split(path.text(), nullptr, -1).empty() ? List{} : Split(path.text(), [] { static const Value kDot("."); return &kDot; }(), -1)) {
    if (!current.is_dict()) return Value();
    const Value* found = current.Find(part.text().bytes);
    current = found ? *found : Value();
  }
  return current;
}

// select, reject, selectattr, rejectattr.
List Select(const Value& value, const Arguments& a, bool attribute, bool keep) {
  List out;
  size_t test_at = attribute ? 1 : 0;
  for (const Value& item : Iterate(value)) {
    const Value subject = attribute ? Attribute(item, a.positional.at(0)) : item;
    bool matches;
    if (a.positional.size() > test_at) {
      Arguments rest;
      rest.positional.assign(a.positional.begin() + test_at + 1, a.positional.end());
      matches = ApplyTest(a.positional[test_at].text().bytes, subject, rest);
    } else {
      matches = subject.truthy();
    }
    if (matches == keep) out.push_back(item);
  }
  return out;
}

List Map(const Value& value, const Arguments& a) {
  List out;
  const Value* attribute = a.Named("attribute");
  const Value* fallback = a.Named("default");
  for (const Value& item : Iterate(value)) {
    if (attribute) {
      Value v = Attribute(item, *attribute);
      out.push_back(v.is_undefined() && fallback ? *fallback : v);
    } else {
      Arguments rest;
      rest.positional.assign(a.positional.begin() + 1, a.positional.end());
      out.push_back(ApplyFilter(a.positional.at(0).text().bytes, item, rest));
    }
  }
  return out;
}

Text Join(const Value& value, const Arguments& a) {
  const Value* separator = a.Get(0, "d");
  const Value* attribute = a.Get(1, "attribute");
  Text out;
  bool first = true;
  for (const Value& item : Iterate(value)) {
    if (!std::exchange(first, false) && separator) out += ToText(*separator);
    out += ToText(attribute ? Attribute(item, *attribute) : item);
  }
  return out;
}

Text Indent(const Text& t, const Arguments& a) {
  const Value* width = a.Get(0, "width");
  const Value* first = a.Get(1, "first");
  const Value* blank = a.Get(2, "blank");
  const Text pad = width && width->is_text() ? width->text() : Text(std::string(width ? width->integer() : 4, ' '));
  Text out;
  size_t at = 0;
  for (bool line_one = true;; line_one = false) {
    const size_t end = t.bytes.find('\n', at);
    const Text line = t.Slice(at, end == std::string::npos ? end : end - at);
    if ((!line_one || (first && first->truthy())) && (!line.bytes.empty() || (blank && blank->truthy()))) out += pad;
    out += line;
    if (end == std::string::npos) return out;
    out += t.Slice(end, 1);
    at = end + 1;
  }
}

List DictItems(const Value& value) {
  List out;
  for (const auto& [key, v] : value.dict()) out.push_back(List{Text(key, true), v});
  return out;
}

List Sorted(List items, const Arguments& a) {
  const Value* attribute = a.Named("attribute");
  const Value* reverse = a.Get(0, "reverse");
  const bool down = reverse && reverse->truthy();
  std::stable_sort(items.begin(), items.end(), [&](const Value& x, const Value& y) {
    const Value p = attribute ? Attribute(x, *attribute) : x, q = attribute ? Attribute(y, *attribute) : y;
    return down ? Compare(q, p) < 0 : Compare(p, q) < 0;
  });
  return items;
}

using Filter = Value (*)(const Value&, const Arguments&);

Value DefaultFilter(const Value& v, const Arguments& a) {
  const Value* fallback = a.Get(0, "default_value");
  const Value* boolean = a.Get(1, "boolean");
  if (v.is_undefined() || (boolean && boolean->truthy() && !v.truthy())) return fallback ? *fallback : Value("");
  return v;
}

Value IntFilter(const Value& v, const Arguments& a) {
  const Value* fallback = a.Get(0, "default");
  if (v.is_number()) return static_cast<int64_t>(v.number());
  if (v.is_text()) {
    char* end = nullptr;
    const std::string s = Trim(v.text(), kSpace, true, true).bytes;
    const double d = std::strtod(s.c_str(), &end);
    if (!s.empty() && *end == 0 && std::fabs(d) < 9e18) return static_cast<int64_t>(d);
  }
  return fallback ? *fallback : Value(0);
}

Value First(const Value& v, const Arguments&) {
  const List items = Iterate(v);
  return items.empty() ? Value() : items.front();
}
Value Last(const Value& v, const Arguments&) {
  const List items = Iterate(v);
  return items.empty() ? Value() : items.back();
}
Value Reverse(const Value& v, const Arguments&) {
  List items = Iterate(v);
  std::reverse(items.begin(), items.end());
  if (!v.is_text()) return items;
  Text out;
  for (const Value& c : items) out += c.text();
  return out;
}
Value Unique(const Value& v, const Arguments&) {
  List out;
  for (const Value& item : Iterate(v))
    if (std::none_of(out.begin(), out.end(), [&](const Value& o) { return Equal(o, item); })) out.push_back(item);
  return out;
}

const std::map<std::string, Filter>& Filters() {
  static const std::map<std::string, Filter> kFilters = {
      {"trim", [](const Value& v, const Arguments& a) -> Value { const Value* c = a.Get(0, "chars"); return Trim(ToText(v), c ? c->text().bytes : kSpace, true, true); }},
      {"upper", [](const Value& v, const Arguments&) -> Value { return Ascii(ToText(v), std::toupper); }},
      {"lower", [](const Value& v, const Arguments&) -> Value { return Ascii(ToText(v), std::tolower); }},
      {"capitalize", [](const Value& v, const Arguments&) -> Value { return Capitalize(ToText(v)); }},
      {"title", [](const Value& v, const Arguments&) -> Value { return Title(ToText(v)); }},
      {"length", [](const Value& v, const Arguments&) -> Value { return Length(v); }},
      {"count", [](const Value& v, const Arguments&) -> Value { return Length(v); }},
      {"default", DefaultFilter},
      {"d", DefaultFilter},
      {"first", First},
      {"last", Last},
      {"reverse", Reverse},
      {"unique", Unique},
      {"join", [](const Value& v, const Arguments& a) -> Value { return Join(v, a); }},
      {"list", [](const Value& v, const Arguments&) -> Value { return Iterate(v); }},
      {"map", [](const Value& v, const Arguments& a) -> Value { return Map(v, a); }},
      {"select", [](const Value& v, const Arguments& a) -> Value { return Select(v, a, false, true); }},
      {"reject", [](const Value& v, const Arguments& a) -> Value { return Select(v, a, false, false); }},
      {"selectattr", [](const Value& v, const Arguments& a) -> Value { return Select(v, a, true, true); }},
      {"rejectattr", [](const Value& v, const Arguments& a) -> Value { return Select(v, a, true, false); }},
      {"replace", [](const Value& v, const Arguments& a) -> Value {
         const Value* n = a.Get(2, "count");
         return Replace(ToText(v), ToText(a.positional.at(0)), ToText(a.positional.at(1)), n && !n->is_none() ? n->integer() : -1);
       }},
      {"string", [](const Value& v, const Arguments&) -> Value { return ToText(v); }},
      {"safe", [](const Value& v, const Arguments&) -> Value { return v; }},
      {"int", IntFilter},
      {"float", [](const Value& v, const Arguments&) -> Value { return v.is_text() ? std::strtod(v.text().bytes.c_str(), nullptr) : v.number(); }},
      {"abs", [](const Value& v, const Arguments&) -> Value { return v.is_float() ? Value(std::fabs(v.number())) : Value(std::abs(v.integer())); }},
      {"items", [](const Value& v, const Arguments&) -> Value { return v.is_undefined() ? List{} : DictItems(v); }},
      {"dictsort", [](const Value& v, const Arguments&) -> Value {
         List items = DictItems(v);
         std::stable_sort(items.begin(), items.end(), [](const Value& x, const Value& y) {
           return Ascii(x.list()[0].text(), std::tolower).bytes < Ascii(y.list()[0].text(), std::tolower).bytes;
         });
         return items;
       }},
      {"sort", [](const Value& v, const Arguments& a) -> Value { return Sorted(Iterate(v), a); }},
      {"indent", [](const Value& v, const Arguments& a) -> Value { return Indent(ToText(v), a); }},
      {"tojson", [](const Value& v, const Arguments& a) -> Value {
         const Value* indent = a.Get(0, "indent");
         return ToJson(v, indent && !indent->is_none() ? static_cast<int>(std::clamp<int64_t>(indent->integer(), 0, 32)) : -1);
       }},
  };
  return kFilters;
}

Value StrftimeNow(const Arguments& a) {
  const std::time_t now = std::time(nullptr);
  std::tm parts;
  localtime_r(&now, &parts);
  char buffer[256];
  const size_t n = std::strftime(buffer, sizeof buffer, a.positional.at(0).text().bytes.c_str(), &parts);
  return Text(std::string_view(buffer, n));
}

Value Range(const Arguments& a) {
  int64_t start = 0, stop = a.positional.at(0).integer(), step = 1;
  if (a.positional.size() > 1) start = stop, stop = a.positional[1].integer();
  if (a.positional.size() > 2) step = a.positional[2].integer();
  if (step == 0) throw TemplateError("range with step 0");
  List out;
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) {
    if (static_cast<int64_t>(out.size()) >= kMaxRange) throw TemplateError("range with more than 100000 elements");
    out.push_back(i);
  }
  return out;
}

Value TextMethod(const Text& t, const std::string& name) {
  const auto chars = [](const Arguments& a) -> std::string { return a.positional.empty() || a.positional[0].is_none() ? std::string(kSpace) : a.positional[0].text().bytes; };
  if (name == "strip") return Function([=](const Arguments& a) -> Value { return Trim(t, chars(a), true, true); });
  if (name == "lstrip") return Function([=](const Arguments& a) -> Value { return Trim(t, chars(a), true, false); });
  if (name == "rstrip") return Function([=](const Arguments& a) -> Value { return Trim(t, chars(a), false, true); });
  if (name == "upper") return Function([=](const Arguments&) -> Value { return Ascii(t, std::toupper); });
  if (name == "lower") return Function([=](const Arguments&) -> Value { return Ascii(t, std::tolower); });
  if (name == "capitalize") return Function([=](const Arguments&) -> Value { return Capitalize(t); });
  if (name == "title") return Function([=](const Arguments&) -> Value { return Title(t); });
  if (name == "split")
    return Function([=](const Arguments& a) -> Value {
      const Value* limit = a.Get(1, "maxsplit");
      return Split(t, a.Get(0, "sep"), limit ? limit->integer() : -1);
    });
  if (name == "splitlines") return Function([=](const Arguments&) -> Value {
      List lines;
      for (size_t at = 0; at < t.bytes.size();) {
        const size_t end = std::min(t.bytes.find('\n', at), t.bytes.size());
        lines.push_back(t.Slice(at, end - at));
        at = end + 1;
      }
      return lines;
    });
  const auto any_of = [](const Value& v, const auto& matches) {
    if (!v.is_list()) return matches(v.text().bytes);
    return std::any_of(v.list().begin(), v.list().end(), [&](const Value& e) { return matches(e.text().bytes); });
  };
  if (name == "startswith")
    return Function([=](const Arguments& a) -> Value { return any_of(a.positional.at(0), [&](const std::string& p) { return t.bytes.starts_with(p); }); });
  if (name == "endswith")
    return Function([=](const Arguments& a) -> Value { return any_of(a.positional.at(0), [&](const std::string& p) { return t.bytes.ends_with(p); }); });
  if (name == "replace")
    return Function([=](const Arguments& a) -> Value {
      const Value* n = a.Get(2, "count");
      return Replace(t, a.positional.at(0).text(), a.positional.at(1).text(), n ? n->integer() : -1);
    });
  if (name == "find") return Function([=](const Arguments& a) -> Value {
      const size_t at = t.bytes.find(a.positional.at(0).text().bytes);
      return at == std::string::npos ? Value(-1) : Value(Length(t.Slice(0, at)));
    });
  if (name == "count") return Function([=](const Arguments& a) -> Value {
      const std::string& needle = a.positional.at(0).text().bytes;
      int64_t n = 0;
      for (size_t at = 0; !needle.empty() && (at = t.bytes.find(needle, at)) != std::string::npos; at += needle.size()) ++n;
      return n;
    });
  if (name == "join") return Function([=](const Arguments& a) -> Value {
      Arguments separator;
      separator.positional = {t};
      return Join(a.positional.at(0), separator);
    });
  if (name == "isdigit") return Function([=](const Arguments&) -> Value {
      return !t.bytes.empty() && std::all_of(t.bytes.begin(), t.bytes.end(), [](unsigned char c) { return std::isdigit(c); });
    });
  return Undefined{name};
}

}  // namespace

Text Trim(const Text& t, std::string_view set, bool left, bool right) {
  size_t begin = left ? t.bytes.find_first_not_of(set) : 0;
  if (begin == std::string::npos) return {};
  size_t end = right ? t.bytes.find_last_not_of(set) : t.bytes.size() - 1;
  if (end == std::string::npos || t.bytes.empty()) return {};
  return t.Slice(begin, end + 1 - begin);
}

List Iterate(const Value& value) {
  if (value.is_list()) return value.list();
  List out;
  if (value.is_dict()) {
    for (const auto& [key, v] : value.dict()) out.push_back(Text(key, true));
  } else if (value.is_text()) {
    const Text& t = value.text();
    for (size_t i = 0; i < t.bytes.size();) {
      size_t n = 1;
      while (i + n < t.bytes.size() && (static_cast<unsigned char>(t.bytes[i + n]) & 0xC0) == 0x80) ++n;
      out.push_back(t.Slice(i, n));
      i += n;
    }
  } else if (!value.is_undefined()) {
    throw TemplateError(TypeName(value) + " cannot be iterated");
  }
  return out;
}

int64_t Length(const Value& v) {
  if (v.is_list()) return static_cast<int64_t>(v.list().size());
  if (v.is_dict()) return static_cast<int64_t>(v.dict().size());
  if (v.is_undefined()) return 0;
  const std::string& s = v.text().bytes;
  return std::count_if(s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

bool Contains(const Value& container, const Value& item) {
  if (container.is_text()) return item.is_text() && container.text().bytes.find(item.text().bytes) != std::string::npos;
  if (container.is_dict()) return item.is_text() && container.Find(item.text().bytes) != nullptr;
  if (container.is_undefined()) return false;
  const List& items = container.list();
  return std::any_of(items.begin(), items.end(), [&](const Value& e) { return Equal(e, item); });
}

Value ApplyFilter(const std::string& name, const Value& value, const Arguments& arguments) {
  const auto it = Filters().find(name);
  if (it == Filters().end()) throw TemplateError("unknown filter '" + name + "'");
  return it->second(value, arguments);
}

bool ApplyTest(const std::string& name, const Value& v, const Arguments& a) {
  if (name == "defined") return !v.is_undefined();
  if (name == "undefined") return v.is_undefined();
  if (name == "none") return v.is_none();
  if (name == "string") return v.is_text();
  if (name == "mapping") return v.is_dict();
  if (name == "sequence" || name == "iterable") return v.is_list() || v.is_dict() || v.is_text() || (name == "iterable" && v.is_undefined());
  if (name == "number") return v.is_number();
  if (name == "integer") return v.is_int();
  if (name == "float") return v.is_float();
  if (name == "boolean") return v.is_bool();
  if (name == "true") return v.is_bool() && v.truthy();
  if (name == "false") return v.is_bool() && !v.truthy();
  if (name == "callable") return v.is_function();
  if (name == "odd") return v.integer() % 2 != 0;
  if (name == "even") return v.integer() % 2 == 0;
  const auto other = [&]() -> const Value& {
    if (a.positional.empty()) throw TemplateError("test '" + name + "' needs an argument");
    return a.positional[0];
  };
  if (name == "divisibleby") return other().integer() != 0 && v.integer() % other().integer() == 0;
  if (name == "equalto" || name == "eq" || name == "==") return Equal(v, other());
  if (name == "ne" || name == "!=") return !Equal(v, other());
  if (name == "lt" || name == "lessthan") return Compare(v, other()) < 0;
  if (name == "gt" || name == "greaterthan") return Compare(v, other()) > 0;
  if (name == "le") return Compare(v, other()) <= 0;
  if (name == "ge") return Compare(v, other()) >= 0;
  if (name == "in") return Contains(other(), v);
  if (name == "lower") return Equal(v, Value(Ascii(v.text(), std::tolower)));
  if (name == "upper") return Equal(v, Value(Ascii(v.text(), std::toupper)));
  throw TemplateError("unknown test '" + name + "'");
}

Value Method(const Value& v, const std::string& name) {
  if (v.is_text()) return TextMethod(v.text(), name);
  if (v.is_dict()) {
    if (name == "items") return Function([v](const Arguments&) -> Value { return DictItems(v); });
    if (name == "keys") return Function([v](const Arguments&) -> Value { return Iterate(v); });
    if (name == "values")
      return Function([v](const Arguments&) -> Value {
        List out;
        for (const auto& [key, value] : v.dict()) out.push_back(value);
        return out;
      });
    if (name == "get")
      return Function([v](const Arguments& a) -> Value {
        const Value* found = v.Find(a.positional.at(0).text().bytes);
        if (found) return *found;
        const Value* fallback = a.Get(1, "default");
        return fallback ? *fallback : Value(None{});
      });
    if (name == "update")
      return Function([v](const Arguments& a) -> Value {
        for (const auto& [key, value] : a.positional.at(0).dict()) v.Set(key, value);
        return None{};
      });
  }
  if (v.is_list()) {
    if (name == "append") return Function([v](const Arguments& a) -> Value { v.list().push_back(a.positional.at(0)); return None{}; });
    if (name == "index") return Function([v](const Arguments& a) -> Value {
        for (size_t i = 0; i < v.list().size(); ++i)
          if (Equal(v.list()[i], a.positional.at(0))) return static_cast<int64_t>(i);
        throw TemplateError("index: the value is not in the list");
      });
    if (name == "pop") return Function([v](const Arguments&) -> Value {
        if (v.list().empty()) throw TemplateError("pop from an empty list");
        Value last = v.list().back();
        v.list().pop_back();
        return last;
      });
  }
  return Undefined{name};
}

Value Global(const std::string& name) {
  if (name == "range") return Function(Range);
  if (name == "strftime_now") return Function(StrftimeNow);
  if (name == "namespace" || name == "dict")
    return Function([](const Arguments& a) -> Value {
      Value out{Dict{}};
      for (const Value& from : a.positional)
        for (const auto& [key, value] : from.dict()) out.Set(key, value);
      for (const auto& [key, value] : a.named) out.Set(key, value);
      return out;
    });
  if (name == "raise_exception")
    return Function([](const Arguments& a) -> Value { throw TemplateError(a.positional.empty() ? "the template refuses" : ToText(a.positional[0]).bytes); });
  return Undefined{name};
}

}  // namespace tokenworks::text::jinja
