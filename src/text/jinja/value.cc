// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/value.h"

#include <fmt/format.h>

#include <cmath>

namespace tokenworks::text::jinja {
namespace {

constexpr int kMaxPrintDepth = 100;

std::string FloatText(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  std::string s = fmt::format("{}", d);  // shortest form that reads back the same
  if (s.find_first_of(".en") == std::string::npos) s += ".0";
  return s;
}

// One Unicode character's bytes at `at`.
size_t CharBytes(const std::string& s, size_t at) {
  size_t n = 1;
  while (at + n < s.size() && (static_cast<unsigned char>(s[at + n]) & 0xC0) == 0x80) ++n;
  return n;
}

void AppendTrusted(Text* out, std::string_view s) { *out += Text(s); }

void Repr(const Value& v, Text* out, int depth);

void ReprText(const Text& t, Text* out) {
  const char quote = t.bytes.find('\'') != std::string::npos && t.bytes.find('"') == std::string::npos ? '"' : '\'';
  AppendTrusted(out, std::string(1, quote));
  for (size_t i = 0; i < t.bytes.size(); ++i) {
    const unsigned char c = t.bytes[i];
    if (c == static_cast<unsigned char>(quote) || c == '\\') *out += Text(std::string("\\") + t.bytes[i], t.user[i]);
    else if (c == '\n') *out += Text("\\n", t.user[i]);
    else if (c == '\r') *out += Text("\\r", t.user[i]);
    else if (c == '\t') *out += Text("\\t", t.user[i]);
    else if (c < 0x20 || c == 0x7F) *out += Text(fmt::format("\\x{:02x}", c), t.user[i]);
    else *out += t.Slice(i, 1);
  }
  AppendTrusted(out, std::string(1, quote));
}

void Repr(const Value& v, Text* out, int depth) {
  if (depth > kMaxPrintDepth) throw TemplateError("a value nested too deeply to print");
  if (v.is_text()) return ReprText(v.text(), out);
  if (v.is_list()) {
    AppendTrusted(out, "[");
    bool first = true;
    for (const Value& e : v.list()) {
      if (!std::exchange(first, false)) AppendTrusted(out, ", ");
      Repr(e, out, depth + 1);
    }
    return AppendTrusted(out, "]");
  }
  if (v.is_dict()) {
    AppendTrusted(out, "{");
    bool first = true;
    for (const auto& [key, e] : v.dict()) {
      if (!std::exchange(first, false)) AppendTrusted(out, ", ");
      ReprText(Text(key, true), out);
      AppendTrusted(out, ": ");
      Repr(e, out, depth + 1);
    }
    return AppendTrusted(out, "}");
  }
  *out += ToText(v);
}

void JsonText(const Text& t, Text* out) {
  AppendTrusted(out, "\"");
  for (size_t i = 0; i < t.bytes.size();) {
    const unsigned char c = t.bytes[i];
    const bool user = t.user[i];
    switch (c) {
      case '"': *out += Text("\\\"", user); break;
      case '\\': *out += Text("\\\\", user); break;
      case '\n': *out += Text("\\n", user); break;
      case '\r': *out += Text("\\r", user); break;
      case '\t': *out += Text("\\t", user); break;
      case '\b': *out += Text("\\b", user); break;
      case '\f': *out += Text("\\f", user); break;
      default:
        if (c < 0x20) {
          *out += Text(fmt::format("\\u{:04x}", c), user);
        } else {
          const size_t n = CharBytes(t.bytes, i);
          *out += t.Slice(i, n);
          i += n - 1;
        }
    }
    ++i;
  }
  AppendTrusted(out, "\"");
}

void Json(const Value& v, int indent, int depth, Text* out) {
  if (depth > kMaxPrintDepth) throw TemplateError("a value nested too deeply for tojson");
  const auto line = [&](int level) {
    if (indent >= 0) AppendTrusted(out, "\n" + std::string(static_cast<size_t>(indent) * level, ' '));
  };
  const std::string comma = indent >= 0 ? "," : ", ";
  if (v.is_undefined()) throw TemplateError("tojson of an undefined value");
  if (v.is_none()) return AppendTrusted(out, "null");
  if (v.is_bool()) return AppendTrusted(out, v.truthy() ? "true" : "false");
  if (v.is_text()) return JsonText(v.text(), out);
  if (v.is_function()) throw TemplateError("tojson of a function");
  if (v.is_list()) {
    if (v.list().empty()) return AppendTrusted(out, "[]");
    AppendTrusted(out, "[");
    bool first = true;
    for (const Value& e : v.list()) {
      if (!std::exchange(first, false)) AppendTrusted(out, comma);
      line(depth + 1);
      Json(e, indent, depth + 1, out);
    }
    line(depth);
    return AppendTrusted(out, "]");
  }
  if (v.is_dict()) {
    if (v.dict().empty()) return AppendTrusted(out, "{}");
    AppendTrusted(out, "{");
    bool first = true;
    for (const auto& [key, e] : v.dict()) {
      if (!std::exchange(first, false)) AppendTrusted(out, comma);
      line(depth + 1);
      JsonText(Text(key, true), out);
      AppendTrusted(out, ": ");
      Json(e, indent, depth + 1, out);
    }
    line(depth);
    return AppendTrusted(out, "}");
  }
  *out += ToText(v);
}

}  // namespace

const Value* Arguments::Named(std::string_view name) const {
  for (const auto& [key, value] : named)
    if (key == name) return &value;
  return nullptr;
}

const Value* Arguments::Get(size_t index, std::string_view name) const { return index < positional.size() ? &positional[index] : Named(name); }

std::string TypeName(const Value& v) {
  if (v.is_undefined()) return "undefined";
  if (v.is_none()) return "none";
  if (v.is_bool()) return "bool";
  if (v.is_int()) return "int";
  if (v.is_float()) return "float";
  if (v.is_text()) return "string";
  if (v.is_list()) return "list";
  if (v.is_dict()) return "dict";
  return "function";
}

int64_t Value::integer() const {
  if (const auto* i = std::get_if<int64_t>(&v_)) return *i;
  if (const auto* b = std::get_if<bool>(&v_)) return *b;
  throw TemplateError("an integer is needed, found " + TypeName(*this));
}

double Value::number() const {
  if (const auto* d = std::get_if<double>(&v_)) return *d;
  return static_cast<double>(integer());
}

const Text& Value::text() const {
  if (const auto* t = std::get_if<Text>(&v_)) return *t;
  throw TemplateError("a string is needed, found " + TypeName(*this));
}

List& Value::list() const {
  if (const auto* l = std::get_if<std::shared_ptr<List>>(&v_)) return **l;
  throw TemplateError("a list is needed, found " + TypeName(*this));
}

Dict& Value::dict() const {
  if (const auto* d = std::get_if<std::shared_ptr<Dict>>(&v_)) return **d;
  throw TemplateError("a mapping is needed, found " + TypeName(*this));
}

const Function& Value::function() const {
  if (const auto* f = std::get_if<std::shared_ptr<Function>>(&v_)) return **f;
  throw TemplateError(TypeName(*this) + (is_undefined() ? " '" + undefined_what() + "'" : "") + " cannot be called");
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_float()) return number() != 0;
  if (is_number()) return integer() != 0;
  if (is_text()) return !text().bytes.empty();
  if (is_list()) return !list().empty();
  if (is_dict()) return !dict().empty();
  return true;
}

Value* Value::Find(std::string_view key) const {
  for (auto& [k, v] : dict())
    if (k == key) return &v;
  return nullptr;
}

void Value::Set(std::string_view key, Value value) const {
  if (Value* found = Find(key)) *found = std::move(value);
  else dict().emplace_back(std::string(key), std::move(value));
}

bool Equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.is_text() && b.is_text()) return a.text().bytes == b.text().bytes;
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.is_list() && b.is_list()) {
    if (a.list().size() != b.list().size()) return false;
    for (size_t i = 0; i < a.list().size(); ++i)
      if (!Equal(a.list()[i], b.list()[i])) return false;
    return true;
  }
  if (a.is_dict() && b.is_dict()) {
    if (a.dict().size() != b.dict().size()) return false;
    for (const auto& [key, v] : a.dict()) {
      const Value* other = b.Find(key);
      if (other == nullptr || !Equal(v, *other)) return false;
    }
    return true;
  }
  return false;
}

int Compare(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.number() < b.number() ? -1 : a.number() > b.number();
  if (a.is_text() && b.is_text()) return a.text().bytes.compare(b.text().bytes) < 0 ? -1 : a.text().bytes != b.text().bytes;
  throw TemplateError("cannot order " + TypeName(a) + " and " + TypeName(b));
}

Text ToText(const Value& v) {
  if (v.is_undefined()) return {};
  if (v.is_none()) return Text("None");
  if (v.is_bool()) return Text(v.truthy() ? "True" : "False");
  if (v.is_int()) return Text(fmt::format("{}", v.integer()));
  if (v.is_float()) return Text(FloatText(v.number()));
  if (v.is_text()) return v.text();
  if (v.is_function()) return Text("<function>");
  Text out;
  Repr(v, &out, 0);
  return out;
}

Text ToJson(const Value& v, int indent) {
  Text out;
  Json(v, indent, 0, &out);
  return out;
}

}  // namespace tokenworks::text::jinja
