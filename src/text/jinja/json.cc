// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/print.h"

namespace tokenworks::text::jinja {
namespace {

constexpr int kMaxPrintDepth = 100, kMaxInputDepth = 64;

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonStyle& style) : runtime_(runtime), style_(style), out_(runtime) {}
  Text Take() { return out_.Take(); }

  void Write(const Value& v, int depth) {
    if (depth > kMaxPrintDepth) throw TemplateError("a value nested too deeply for tojson");
    if (v.is_text()) return String(v.text());
    if (v.is_sequence() && (v.is_sequence(SequenceKind::kList) || v.is_sequence(SequenceKind::kTuple) ||
                            v.is_sequence(SequenceKind::kGroup)))
      return Array(v.list(), depth);
    if (v.is_dict()) return Object(v.dict(), depth);
    if (!v.is_none() && !v.is_number()) throw TemplateError("tojson: '" + TypeName(v) + "' is not JSON");
    out_ += Scalar(v);
  }

 private:
  Text Scalar(const Value& v) {
    if (v.is_none()) return Text("null");
    if (v.is_bool()) return Text(v.truthy() ? "true" : "false");
    if (v.is_float() && !std::isfinite(v.number()))
      return Text(std::isnan(v.number()) ? "NaN" : v.number() < 0 ? "-Infinity" : "Infinity");
    return ToText(runtime_, v);
  }

  void Line(int level) {
    if (!style_.indent) return;
    out_.Trusted("\n");
    out_.Repeat(*style_.indent, level);
  }

  void Array(const List& items, int depth) {
    if (items.empty()) return out_.Trusted("[]");
    out_.Trusted("[");
    bool first = true;
    for (const Value& e : items) {
      if (!std::exchange(first, false)) out_ += style_.item_separator;
      Line(depth + 1);
      Write(e, depth + 1);
    }
    Line(depth);
    out_.Trusted("]");
  }

  void Object(const Dict& dict, int depth) {
    if (dict.empty()) return out_.Trusted("{}");
    Dict entries = dict;
    if (style_.sorted)
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto& a, const auto& b) { return Compare(runtime_, a.first, b.first) < 0; });
    out_.Trusted("{");
    bool first = true;
    for (const auto& [key, e] : entries) {
      if (!std::exchange(first, false)) out_ += style_.item_separator;
      Line(depth + 1);
      if (key.is_sequence()) throw TemplateError("tojson: a key is a tuple");
      String(key.is_text() ? key.text() : Scalar(key));
      out_ += style_.key_separator;
      Write(e, depth + 1);
    }
    Line(depth);
    out_.Trusted("}");
  }

  void String(const Text& t) {
    out_.Trusted("\"");
    for (size_t i = 0; i < t.bytes.size();) {
      const size_t n = CharacterSize(t.bytes, i);
      const std::string escaped = Escape(std::string_view(t.bytes).substr(i, n));
      out_ += escaped.empty() ? t.Slice(i, n) : Text(escaped, t.user[i]);
      i += n;
    }
    out_.Trusted("\"");
  }

  // Empty for a character that stands for itself.
  std::string Escape(std::string_view character) const {
    const uint32_t code = CodePoint(character);
    switch (code) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\b':
        return "\\b";
      case '\f':
        return "\\f";
      default:
        break;
    }
    if (code >= 0x20 && (!style_.ascii || code < 0x7F)) return {};
    if (code < 0x10000) return fmt::format("\\u{:04x}", code);
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF));
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  TextBuilder out_;
};

Value FromJsonAt(const nlohmann::ordered_json& j, int depth) {
  if (depth > kMaxInputDepth) throw TemplateError("messages nested too deeply");
  if (j.is_null()) return None{};
  if (j.is_boolean()) return j.get<bool>();
  if (j.is_number_unsigned() && j.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
    throw TemplateError("an integer beyond 64 bits");
  if (j.is_number_integer()) return j.get<int64_t>();
  if (j.is_number()) return j.get<double>();
  if (j.is_string()) return Text(j.get_ref<const std::string&>(), true);
  if (j.is_array()) {
    List out;
    for (const auto& e : j) out.push_back(FromJsonAt(e, depth + 1));
    return out;
  }
  Dict out;
  for (const auto& [key, value] : j.items()) out.emplace_back(Text(key, true), FromJsonAt(value, depth + 1));
  return out;
}

}  // namespace

Text ToJson(Runtime& runtime, const Value& v, const JsonStyle& style) {
  JsonWriter writer(runtime, style);
  writer.Write(v, 0);
  return writer.Take();
}

Value FromJson(const nlohmann::ordered_json& json) { return FromJsonAt(json, 0); }

}  // namespace tokenworks::text::jinja
