// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/compare.h"
#include "text/jinja/iterate.h"
#include "text/jinja/methods.h"

namespace tokenworks::text::jinja {
namespace {

Value DictMethod(const Value& v, const std::string& name) {
  if (name == "items")
    return Function(
        [v](Runtime& r, const Arguments&) -> Value { return Value(Items(r, v), SequenceKind::kView, "dict_items"); });
  if (name == "keys")
    return Function(
        [v](Runtime& r, const Arguments&) -> Value { return Value(Iterate(r, v), SequenceKind::kView, "dict_keys"); });
  if (name == "values")
    return Function([v](Runtime& r, const Arguments&) -> Value {
      List out;
      r.Work(v.dict().size() * kElementWork);
      for (const auto& [key, value] : v.dict()) out.push_back(value);
      return Value(std::move(out), SequenceKind::kView, "dict_values");
    });
  if (name == "get")
    return Function([v](Runtime& r, const Arguments& a) -> Value {
      r.Work(v.dict().size() / 4 + 1);
      const Value* found = v.Find(a.Need(0, "key"));
      const Value* fallback = a.Get(1, "default");
      return found ? *found : fallback ? *fallback : Value(None{});
    });
  if (name == "copy")
    return Function([v](Runtime& r, const Arguments&) -> Value {
      r.Work(v.dict().size() * 2 * kElementWork);
      return Value(Dict(v.dict()));
    });
  return Value();
}

Value ListMethod(const Value& v, const std::string& name) {
  if (name == "count")
    return Function([v](Runtime& r, const Arguments& a) -> Value {
      const Value& item = a.Need(0, "value");
      return static_cast<int64_t>(
          std::count_if(v.list().begin(), v.list().end(), [&](const Value& e) { return Equal(r, e, item); }));
    });
  if (name == "index")
    return Function([v](Runtime& r, const Arguments& a) -> Value {
      for (size_t i = 0; i < v.list().size(); ++i)
        if (Equal(r, v.list()[i], a.Need(0, "value"))) return static_cast<int64_t>(i);
      throw TemplateError("index: the value is not in the list");
    });
  if (name == "copy" && v.is_sequence(SequenceKind::kList))
    return Function([v](Runtime& r, const Arguments&) -> Value {
      r.Work(v.list().size() * kElementWork);
      return Value(List(v.list()));
    });
  return Value();
}

bool IsOneOf(const std::string& name, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* n) { return name == n; });
}

}  // namespace

bool IsUnsafeMethod(const Value& v, const std::string& name) {
  if (name.starts_with("__")) return !v.is_mapping() || v.is_dict();
  if (v.is_dict()) return IsOneOf(name, {"clear", "pop", "popitem", "setdefault", "update", "fromkeys"});
  return v.is_sequence(SequenceKind::kList) &&
         IsOneOf(name, {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"});
}

Value Method(const Value& v, const std::string& name) {
  if (IsUnsafeMethod(v, name))
    return Undefined("access to attribute '" + name + "' of '" + TypeName(v) + "' object is unsafe");
  if (v.is_text()) return TextMethod(v, name);
  if (v.is_dict()) return DictMethod(v, name);
  if (v.is_mapping()) {
    const Value* found = v.Find(Text(name));
    return found ? *found : Value();
  }
  if (v.is_sequence(SequenceKind::kGroup) && name == "grouper") return v.list()[0];
  if (v.is_sequence(SequenceKind::kGroup) && name == "list") return v.list()[1];
  if (v.is_sequence(SequenceKind::kGenerator) || v.is_sequence(SequenceKind::kView)) return Value();
  if (v.is_function() && IsOneOf(name, {"name", "arguments", "catch_kwargs", "catch_varargs", "caller", "fromkeys"}))
    throw UnsupportedFeature("the attribute '" + name + "' of a function");
  return v.is_sequence() ? ListMethod(v, name) : Value();
}

}  // namespace tokenworks::text::jinja
