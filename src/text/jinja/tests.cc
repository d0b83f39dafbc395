// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/tests.h"

#include <map>
#include <string_view>

#include "text/jinja/characters.h"
#include "text/jinja/filters.h"
#include "text/jinja/methods.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace tokenworks::text::jinja {
namespace {

using Test = bool (*)(Runtime&, const Value&, const Arguments&);

const Value& Other(const Arguments& a) { return a.Need(0, "other"); }

int64_t Remainder(Runtime& r, const Value& v, const Value& by) {
  const Value rest = BinaryOperator(r, "%", v, by);
  return rest.is_float() ? rest.number() != 0 : rest.integer();
}

template <int kIndex>
bool Compared(Runtime& r, const Value& v, const Arguments& a) {
  static const std::string kOperators[] = {"==", "!=", "<", "<=", ">", ">=", "in"};
  return CompareOperator(r, kOperators[kIndex], v, Other(a));
}

bool SameAs(Runtime&, const Value& v, const Arguments& a) {
  const Value& o = Other(a);
  if (v.is_none()) return o.is_none();
  if (v.is_bool()) return o.is_bool() && v.truthy() == o.truthy();
  return v.identity() != nullptr && v.identity() == o.identity();
}

bool Exists(const std::string& name);

const std::map<std::string_view, Test>& Tests() {
  static const std::map<std::string_view, Test> kTests = {
      {"defined", [](Runtime&, const Value& v, const Arguments&) { return !v.is_undefined(); }},
      {"undefined", [](Runtime&, const Value& v, const Arguments&) { return v.is_undefined(); }},
      {"none", [](Runtime&, const Value& v, const Arguments&) { return v.is_none(); }},
      {"string", [](Runtime&, const Value& v, const Arguments&) { return v.is_text(); }},
      {"mapping", [](Runtime&, const Value& v, const Arguments&) { return v.is_dict(); }},
      {"sequence",
       [](Runtime&, const Value& v, const Arguments&) {
         return v.is_dict() || v.is_text() || v.is_undefined() ||
                (v.is_sequence() && !v.is_sequence(SequenceKind::kGenerator) && !v.is_sequence(SequenceKind::kView));
       }},
      {"iterable", [](Runtime&, const Value& v,
                      const Arguments&) { return v.is_sequence() || v.is_dict() || v.is_text() || v.is_undefined(); }},
      {"number", [](Runtime&, const Value& v, const Arguments&) { return v.is_number(); }},
      {"integer", [](Runtime&, const Value& v, const Arguments&) { return v.is_int(); }},
      {"float", [](Runtime&, const Value& v, const Arguments&) { return v.is_float(); }},
      {"boolean", [](Runtime&, const Value& v, const Arguments&) { return v.is_bool(); }},
      {"true", [](Runtime&, const Value& v, const Arguments&) { return v.is_bool() && v.truthy(); }},
      {"false", [](Runtime&, const Value& v, const Arguments&) { return v.is_bool() && !v.truthy(); }},
      {"callable", [](Runtime&, const Value& v, const Arguments&) { return v.is_function() || v.is_undefined(); }},
      {"escaped", [](Runtime&, const Value& v, const Arguments&) { return v.is_text() && v.text().markup; }},
      {"odd", [](Runtime& r, const Value& v, const Arguments&) { return Remainder(r, v, 2) == 1; }},
      {"even", [](Runtime& r, const Value& v, const Arguments&) { return Remainder(r, v, 2) == 0; }},
      {"divisibleby", [](Runtime& r, const Value& v, const Arguments& a) { return Remainder(r, v, Other(a)) == 0; }},
      {"lower",
       [](Runtime& r, const Value& v, const Arguments&) { return HasOnlyCase(ToText(r, v), CharacterClass::kLower); }},
      {"upper",
       [](Runtime& r, const Value& v, const Arguments&) { return HasOnlyCase(ToText(r, v), CharacterClass::kUpper); }},
      {"sameas", SameAs},
      {"filter", [](Runtime&, const Value& v, const Arguments&) { return FilterExists(v.bytes()); }},
      {"test", [](Runtime&, const Value& v, const Arguments&) { return Exists(v.bytes()); }},
      {"==", Compared<0>},
      {"eq", Compared<0>},
      {"equalto", Compared<0>},
      {"!=", Compared<1>},
      {"ne", Compared<1>},
      {"<", Compared<2>},
      {"lt", Compared<2>},
      {"lessthan", Compared<2>},
      {"<=", Compared<3>},
      {"le", Compared<3>},
      {">", Compared<4>},
      {"gt", Compared<4>},
      {"greaterthan", Compared<4>},
      {">=", Compared<5>},
      {"ge", Compared<5>},
      {"in", Compared<6>},
  };
  return kTests;
}

bool Exists(const std::string& name) { return Tests().contains(name); }

}  // namespace

bool ApplyTest(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments) {
  const auto it = Tests().find(name);
  if (it == Tests().end()) throw TemplateError("unknown test '" + name + "'");
  return it->second(runtime, value, arguments);
}

}  // namespace tokenworks::text::jinja
