// SPDX-License-Identifier: Apache-2.0
#include <fmt/printf.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/filters.h"
#include "text/jinja/iterate.h"
#include "text/jinja/operators.h"
#include "text/jinja/strings.h"

namespace tokenworks::text::jinja {
namespace {

// As Python reads numbers: trimmed, '_' between digits.
std::string Digits(const Text& t) {
  std::string s = Strip(t, nullptr, Side::kBoth).bytes, out;
  for (size_t i = 0; i < s.size(); ++i)
    if (s[i] != '_' || i == 0 || i + 1 == s.size() || !std::isalnum(static_cast<unsigned char>(s[i - 1])) ||
        !std::isalnum(static_cast<unsigned char>(s[i + 1])))
      out += s[i];
  for (const char c : out)
    if (static_cast<unsigned char>(c) >= 0x80) throw UnsupportedFeature("a number in other digits than 0-9");
  return out;
}

std::optional<double> ReadFloat(const std::string& s) {
  if (s.empty() || s.find_first_of("xXpP(") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double d = std::strtod(s.c_str(), &end);
  return *end == 0 ? std::optional(d) : std::nullopt;
}

std::optional<int64_t> ReadInteger(std::string s, int base) {
  const bool negative = !s.empty() && s[0] == '-';
  if (!s.empty() && (s[0] == '-' || s[0] == '+')) s.erase(0, 1);
  if (s.size() > 1 && s[0] == '0' &&
      ((base == 16 && (s[1] | 32) == 'x') || (base == 8 && (s[1] | 32) == 'o') || (base == 2 && (s[1] | 32) == 'b')))
    s.erase(0, 2);
  if (s.empty() || !std::isalnum(static_cast<unsigned char>(s[0]))) return std::nullopt;
  if (negative) s.insert(0, "-");
  int64_t i = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), i, base);
  if (error == std::errc::result_out_of_range) throw UnsupportedFeature("an integer beyond 64 bits");
  return error == std::errc() && end == s.data() + s.size() ? std::optional(i) : std::nullopt;
}

Value Truncated(double d, const Value& fallback) {
  if (std::isnan(d) || std::isinf(d)) return fallback;
  if (std::fabs(d) >= 9.2e18) throw UnsupportedFeature("an integer beyond 64 bits");
  return static_cast<int64_t>(d);
}

Value IntFilter(Runtime&, const Value& v, const Arguments& a) {
  if (v.is_undefined()) FailUndefined(v);
  const Value* given = a.Get(0, "default");
  const Value fallback = given ? *given : Value(0);
  const Value* base = a.Get(1, "base");
  if (v.is_float()) return Truncated(v.number(), fallback);
  if (v.is_number()) return v.integer();
  if (!v.is_text()) return fallback;
  const int64_t radix = base ? base->integer() : 10;
  if (radix < 2 || radix > 36) throw UnsupportedFeature("int with base " + std::to_string(radix));
  const std::string digits = Digits(v.text());
  if (const auto i = ReadInteger(digits, static_cast<int>(radix))) return *i;
  const auto d = ReadFloat(digits);
  return d ? Truncated(*d, fallback) : fallback;
}

Value FloatFilter(Runtime&, const Value& v, const Arguments& a) {
  if (v.is_undefined()) FailUndefined(v);
  const Value* fallback = a.Get(0, "default");
  if (v.is_number()) return v.number();
  const auto d = v.is_text() ? ReadFloat(Digits(v.text())) : std::nullopt;
  return d ? Value(*d) : fallback ? *fallback : Value(0.0);
}

Value Round(Runtime&, const Value& v, const Arguments& a) {
  const Value* digits = a.Get(0, "precision");
  const Value* method = a.Get(1, "method");
  const int64_t precision = digits ? std::clamp<int64_t>(digits->integer(), -300, 300) : 0;
  const std::string how = method ? method->bytes() : "common";
  const double scale = std::pow(10.0, static_cast<double>(precision));
  if (how == "ceil") return std::ceil(v.number() * scale) / scale;
  if (how == "floor") return std::floor(v.number() * scale) / scale;
  if (how != "common") throw TemplateError("round: the method is common, ceil or floor");
  if (!v.is_float() && precision >= 0) return v.integer();
  if (precision >= 0)
    return std::strtod(fmt::sprintf("%." + std::to_string(precision) + "f", v.number()).c_str(), nullptr);
  const double rounded = std::nearbyint(v.number() * scale) / scale;
  return v.is_float() ? Value(rounded) : Value(static_cast<int64_t>(rounded));
}

Value Abs(Runtime&, const Value& v, const Arguments&) {
  if (v.is_float()) return std::fabs(v.number());
  return v.integer() < 0 ? SignOperator("-", v) : Value(v.integer());
}

Value Sum(Runtime& r, const Value& v, const Arguments& a) {
  const Value* attribute = a.Get(0, "attribute");
  const Value* start = a.Get(1, "start");
  Value total = start ? *start : Value(0);
  if (total.is_text()) throw TemplateError("sum cannot join strings");
  for (const Value& item : Iterate(r, v))
    total =
        BinaryOperator(r, "+", total, attribute && !attribute->is_none() ? AttributePath(r, item, *attribute) : item);
  return total;
}

// sign 1: the greatest, -1: the least.
Value Extreme(Runtime& r, const Value& v, const Arguments& a, int sign) {
  const Value* sensitive = a.Get(0, "case_sensitive");
  const Value* attribute = a.Get(1, "attribute");
  const auto key = [&](const Value& item) {
    const Value k = attribute && !attribute->is_none() ? AttributePath(r, item, *attribute) : item;
    return k.is_text() && !(sensitive && sensitive->truthy()) ? Value(Lower(k.text())) : k;
  };
  const List items = Iterate(r, v);
  if (items.empty()) return Undefined("no aggregated item, the sequence is empty");
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i)
    if (Compare(r, key(items[i]), key(items[best])) == sign) best = i;
  return items[best];
}

}  // namespace

const NamedFilter kNumberFilters[] = {
    {"int", IntFilter},
    {"float", FloatFilter},
    {"round", Round},
    {"abs", Abs},
    {"sum", Sum},
    {"max", [](Runtime& r, const Value& v, const Arguments& a) -> Value { return Extreme(r, v, a, 1); }},
    {"min", [](Runtime& r, const Value& v, const Arguments& a) -> Value { return Extreme(r, v, a, -1); }},
    {nullptr, nullptr},
};

}  // namespace tokenworks::text::jinja
