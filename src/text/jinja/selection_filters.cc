// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/filters.h"
#include "text/jinja/iterate.h"
#include "text/jinja/subscript.h"
#include "text/jinja/tests.h"

namespace tokenworks::text::jinja {
namespace {

Arguments Rest(const Arguments& a, size_t from) {
  Arguments rest;
  rest.positional.assign(a.positional.begin() + static_cast<std::ptrdiff_t>(from), a.positional.end());
  rest.named = a.named;
  return rest;
}

// select, reject, selectattr, rejectattr. Without a test, what counts as true is selected.
Value Select(Runtime& r, const Value& v, const Arguments& a, bool attribute, bool keep) {
  if (!v.truthy()) return Generator({});  // jinja2 does not look at what counts as false: none passes
  const size_t test_at = attribute ? 1 : 0;
  if (attribute) a.Need(0, "attribute");
  const bool tested = a.positional.size() > test_at;
  const Arguments rest = tested ? Rest(a, test_at + 1) : Arguments{};
  List out;
  for (const Value& item : Iterate(r, v)) {
    const Value subject = attribute ? AttributePath(r, item, a.positional[0]) : item;
    const bool matches = tested ? ApplyTest(r, a.positional[test_at].bytes(), subject, rest) : subject.truthy();
    if (matches == keep) out.push_back(item);
  }
  return Generator(std::move(out));
}

Value Map(Runtime& r, const Value& v, const Arguments& a) {
  if (!v.truthy()) return Generator({});
  const Value* attribute = a.Named("attribute");
  const Value* fallback = a.Named("default");
  List out;
  if (a.positional.empty() && attribute != nullptr) {
    for (const Value& item : Iterate(r, v)) out.push_back(AttributePath(r, item, *attribute, fallback));
    return Generator(std::move(out));
  }
  const std::string& name = a.Need(0, "filter").bytes();
  const Arguments rest = Rest(a, 1);
  for (const Value& item : Iterate(r, v)) out.push_back(ApplyFilter(r, name, item, rest));
  return Generator(std::move(out));
}

Value Default(Runtime&, const Value& v, const Arguments& a) {
  const Value* fallback = a.Get(0, "default_value");
  const Value* boolean = a.Get(1, "boolean");
  if (!v.is_undefined() && !(boolean && boolean->truthy() && !v.truthy())) return v;
  return fallback ? *fallback : Value("");
}

}  // namespace

const NamedFilter kSelectionFilters[] = {
    {"map", Map},
    {"default", Default},
    {"d", Default},
    {"attr",
     [](Runtime&, const Value& v, const Arguments&) -> Value {
       return Undefined("'" + TypeName(v) + " object' has no such attribute");
     }},
    {"select", [](Runtime& r, const Value& v, const Arguments& a) -> Value { return Select(r, v, a, false, true); }},
    {"reject", [](Runtime& r, const Value& v, const Arguments& a) -> Value { return Select(r, v, a, false, false); }},
    {"selectattr", [](Runtime& r, const Value& v, const Arguments& a) -> Value { return Select(r, v, a, true, true); }},
    {"rejectattr",
     [](Runtime& r, const Value& v, const Arguments& a) -> Value { return Select(r, v, a, true, false); }},
    {nullptr, nullptr},
};

}  // namespace tokenworks::text::jinja
