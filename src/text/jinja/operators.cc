// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/operators.h"

#include <cmath>

#include "text/jinja/compare.h"
#include "text/jinja/format.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"

namespace tokenworks::text::jinja {
namespace {

[[noreturn]] void FailTypes(const std::string& op, const Value& a, const Value& b) {
  if (a.is_undefined()) FailUndefined(a);
  if (b.is_undefined()) FailUndefined(b);
  throw TemplateError("'" + op + "' between '" + TypeName(a) + "' and '" + TypeName(b) + "'");
}

[[noreturn]] void FailOverflow() { throw UnsupportedFeature("an integer beyond 64 bits"); }

Value Divide(const std::string& op, const Value& a, const Value& b) {
  if (b.number() == 0) throw TemplateError("division by zero");
  if (op == "/") return a.number() / b.number();
  if (a.is_float() || b.is_float()) {
    double rest = std::fmod(a.number(), b.number());
    if (rest != 0 && (rest < 0) != (b.number() < 0)) rest += b.number();
    if (op == "%") return rest == 0 ? std::copysign(0.0, b.number()) : rest;
    return std::round((a.number() - rest) / b.number());
  }
  const int64_t x = a.integer(), y = b.integer();
  if (y == -1) {
    if (x == INT64_MIN) FailOverflow();
    return op == "//" ? Value(-x) : Value(0);
  }
  const int64_t quotient = x / y - ((x % y != 0 && (x < 0) != (y < 0)) ? 1 : 0);
  return op == "//" ? quotient : x - quotient * y;
}

Value Power(const Value& a, const Value& b) {
  if (a.is_float() || b.is_float() || b.integer() < 0) {
    if (a.number() == 0 && b.number() < 0) throw TemplateError("zero to a negative power");
    const double p = std::pow(a.number(), b.number());
    if (std::isnan(p) && !std::isnan(a.number()) && !std::isnan(b.number()))
      throw UnsupportedFeature("complex numbers");
    return p;
  }
  int64_t result = 1;
  const int64_t base = a.integer();
  if (base == 0 || base == 1 || base == -1)
    return b.integer() == 0 ? 1 : base == -1 ? (b.integer() % 2 == 0 ? 1 : -1) : static_cast<int>(base);
  for (int64_t i = 0; i < b.integer(); ++i)
    if (__builtin_mul_overflow(result, base, &result)) FailOverflow();
  return result;
}

Value Arithmetic(const std::string& op, const Value& a, const Value& b) {
  if (op == "/" || op == "//" || op == "%") return Divide(op, a, b);
  if (op == "**") return Power(a, b);
  if (a.is_float() || b.is_float())
    return op == "+" ? a.number() + b.number() : op == "-" ? a.number() - b.number() : a.number() * b.number();
  int64_t out = 0;
  const int64_t x = a.integer(), y = b.integer();
  const bool overflow = op == "+"   ? __builtin_add_overflow(x, y, &out)
                        : op == "-" ? __builtin_sub_overflow(x, y, &out)
                                    : __builtin_mul_overflow(x, y, &out);
  if (overflow) FailOverflow();
  return out;
}

bool IsListOrTuple(const Value& v) { return v.is_sequence(SequenceKind::kList) || v.is_sequence(SequenceKind::kTuple); }

Value Repeat(Runtime& runtime, const Value& v, int64_t times) {
  if (v.is_text()) {
    TextBuilder out(runtime);
    out.Repeat(v.text(), times);
    return out.Take();
  }
  List out;
  for (int64_t i = 0; i < times && !v.list().empty(); ++i) {
    runtime.Work(v.list().size() * kElementWork);
    out.insert(out.end(), v.list().begin(), v.list().end());
  }
  return Value(std::move(out), v.sequence().kind);
}

Value Plus(Runtime& runtime, const Value& a, const Value& b) {
  if (a.is_text() && b.is_text()) return Concatenate(runtime, a.text(), b.text());
  if (IsListOrTuple(a) && IsListOrTuple(b) && a.sequence().kind == b.sequence().kind) {
    runtime.Work((a.list().size() + b.list().size()) * kElementWork);
    List out = a.list();
    out.insert(out.end(), b.list().begin(), b.list().end());
    return Value(std::move(out), a.sequence().kind);
  }
  FailTypes("+", a, b);
}

}  // namespace

Value BinaryOperator(Runtime& runtime, const std::string& op, const Value& a, const Value& b) {
  if (op == "%" && a.is_text()) return PercentFormat(runtime, a.text(), b);
  if (a.is_number() && b.is_number()) return Arithmetic(op, a, b);
  if (op == "+") return Plus(runtime, a, b);
  const bool repeats = op == "*";
  if (repeats && (a.is_text() || IsListOrTuple(a)) && (b.is_int() || b.is_bool()))
    return Repeat(runtime, a, b.integer());
  if (repeats && (b.is_text() || IsListOrTuple(b)) && (a.is_int() || a.is_bool()))
    return Repeat(runtime, b, a.integer());
  FailTypes(op, a, b);
}

Value SignOperator(const std::string& op, const Value& v) {
  if (v.is_float()) return op == "-" ? -v.number() : v.number();
  const int64_t i = v.integer();
  if (op == "-" && i == INT64_MIN) FailOverflow();
  return op == "-" ? -i : i;
}

bool CompareOperator(Runtime& runtime, const std::string& op, const Value& a, const Value& b) {
  if (op == "==") return Equal(runtime, a, b);
  if (op == "!=") return !Equal(runtime, a, b);
  if (op == "in") return Contains(runtime, b, a);
  if (op == "not in") return !Contains(runtime, b, a);
  if ((a.is_float() && std::isnan(a.number())) || (b.is_float() && std::isnan(b.number()))) return false;
  const int order = Compare(runtime, a, b);
  return op == "<" ? order < 0 : op == ">" ? order > 0 : op == "<=" ? order <= 0 : order >= 0;
}

}  // namespace tokenworks::text::jinja
