// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/compare.h"

#include <algorithm>

#include "text/jinja/iterate.h"

namespace tokenworks::text::jinja {
namespace {

constexpr size_t kCompareWork = 8;

bool SameSequenceType(const Value& a, const Value& b) {
  const auto type = [](const Value& v) {
    return v.is_sequence(SequenceKind::kGroup) ? SequenceKind::kTuple : v.sequence().kind;
  };
  return type(a) == type(b);
}

bool EqualDicts(Runtime& runtime, const Value& a, const Value& b) {
  if (a.dict().size() != b.dict().size()) return false;
  for (const auto& [key, v] : a.dict()) {
    runtime.Work(b.dict().size());
    const Value* other = b.Find(key);
    if (other == nullptr || !Equal(runtime, v, *other)) return false;
  }
  return true;
}

}  // namespace

bool Equal(Runtime& runtime, const Value& a, const Value& b) {
  runtime.Work(kCompareWork);
  if (a.is_int() && b.is_int()) return a.integer() == b.integer();
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.is_text() && b.is_text()) return a.bytes() == b.bytes();
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.is_sequence() && b.is_sequence() && SameSequenceType(a, b) && !a.is_sequence(SequenceKind::kGenerator)) {
    const List &x = a.list(), &y = b.list();
    return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin(),
                                              [&](const Value& p, const Value& q) { return Equal(runtime, p, q); });
  }
  if (a.is_dict() && b.is_dict()) return EqualDicts(runtime, a, b);
  return a.identity() != nullptr && a.identity() == b.identity();
}

int Compare(Runtime& runtime, const Value& a, const Value& b) {
  runtime.Work(kCompareWork);
  if (a.is_undefined()) FailUndefined(a);
  if (b.is_undefined()) FailUndefined(b);
  if (a.is_int() && b.is_int()) return a.integer() < b.integer() ? -1 : a.integer() > b.integer();
  if (a.is_number() && b.is_number()) return a.number() < b.number() ? -1 : a.number() > b.number();
  if (a.is_text() && b.is_text())
    return std::clamp(a.bytes().compare(b.bytes()), -1, 1);  // the order of UTF-8 is that of code points
  if (a.is_sequence() && b.is_sequence() && SameSequenceType(a, b)) {
    const List &x = a.list(), &y = b.list();
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
      if (!Equal(runtime, x[i], y[i])) return Compare(runtime, x[i], y[i]);
    return x.size() < y.size() ? -1 : x.size() > y.size();
  }
  throw TemplateError("cannot order '" + TypeName(a) + "' and '" + TypeName(b) + "'");
}

bool Contains(Runtime& runtime, const Value& container, const Value& item) {
  if (container.is_undefined()) return false;
  if (container.is_text()) {
    runtime.Work(container.bytes().size() / 8);
    if (!item.is_text()) throw TemplateError("'in <string>' needs a string on its left, found " + TypeName(item));
    return container.bytes().find(item.bytes()) != std::string::npos;
  }
  if (container.is_dict()) {
    runtime.Work(container.dict().size());
    return container.Find(item) != nullptr;
  }
  const List items = Iterate(runtime, container);
  return std::any_of(items.begin(), items.end(), [&](const Value& e) { return Equal(runtime, e, item); });
}

}  // namespace tokenworks::text::jinja
