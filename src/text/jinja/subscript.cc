// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/subscript.h"

#include <algorithm>

#include "text/jinja/characters.h"
#include "text/jinja/iterate.h"
#include "text/jinja/methods.h"

namespace tokenworks::text::jinja {
namespace {

Value Missing(const Value& v, const std::string& what) {
  return Undefined(v.is_none() ? "'None' has no attribute '" + what + "'"
                               : "'" + TypeName(v) + " object' has no attribute '" + what + "'");
}

// Null when a mapping or list has no such item.
Value Item(Runtime& runtime, const Value& v, const Value& key, bool* found) {
  *found = false;
  if (v.is_mapping()) {
    runtime.Work(v.dict().size() / 4 + 1);
    const Value* item = v.Find(key);
    *found = item != nullptr;
    return item ? *item : Value();
  }
  if ((!v.is_sequence() && !v.is_text()) || v.is_sequence(SequenceKind::kGenerator) ||
      v.is_sequence(SequenceKind::kView) || !(key.is_int() || key.is_bool()))
    return Value();
  int64_t i = key.integer();
  const int64_t n = Length(v);
  if (i < 0) i += n;
  if (i < 0 || i >= n) return Value();
  *found = true;
  if (v.is_sequence()) return v.list()[static_cast<size_t>(i)];
  runtime.Work(v.bytes().size() / 4 + 1);
  const size_t at = CharacterOffset(v.bytes(), i);
  return v.text().Slice(at, CharacterSize(v.bytes(), at));
}

}  // namespace

Value Attribute(Runtime& runtime, const Value& v, const std::string& name) {
  if (v.is_undefined()) FailUndefined(v);
  Value method = Method(v, name);
  if (!method.is_undefined() || IsUnsafeMethod(v, name)) return method;
  bool found = false;
  Value item = Item(runtime, v, Text(name), &found);
  return found ? item : Missing(v, name);
}

Value Subscript(Runtime& runtime, const Value& v, const Value& key) {
  if (v.is_undefined()) FailUndefined(v);
  bool found = false;
  Value item = Item(runtime, v, key, &found);
  if (found) return item;
  if (key.is_text()) {
    Value method = Method(v, key.bytes());
    return method.is_undefined() && !IsUnsafeMethod(v, key.bytes()) ? Missing(v, key.bytes()) : method;
  }
  if (key.is_int()) return Undefined(TypeName(v) + " object has no element " + std::to_string(key.integer()));
  return Undefined(TypeName(v) + " object has no such element");
}

Value Slice(Runtime& runtime, const Value& v, const Value& start_at, const Value& stop_at, const Value& step_by) {
  if (v.is_undefined()) FailUndefined(v);
  if ((!v.is_sequence() && !v.is_text()) || v.is_sequence(SequenceKind::kGenerator) ||
      v.is_sequence(SequenceKind::kView))
    throw TemplateError("'" + TypeName(v) + "' cannot be sliced");
  const int64_t n = Length(v);
  const auto given = [](const Value& part) { return !part.is_undefined() && !part.is_none(); };
  const int64_t step = given(step_by) ? step_by.integer() : 1;
  if (step == 0) throw TemplateError("a slice with step 0");
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
  const auto clip = [&](const Value& part, int64_t fallback) {
    if (!given(part)) return fallback;
    const int64_t i = part.integer();
    return std::clamp(i < 0 ? i + n : i, low, high);
  };
  const int64_t start = clip(start_at, step > 0 ? 0 : n - 1), stop = clip(stop_at, step > 0 ? n : -1);
  if (v.is_text() && step == 1) {
    const Text& t = v.text();
    runtime.Work(t.bytes.size());
    const size_t begin = CharacterOffset(t.bytes, start), end = CharacterOffset(t.bytes, std::max(start, stop));
    return t.Slice(begin, end - begin);
  }
  const List items = Iterate(runtime, v);
  List out;
  const int64_t stride = std::clamp<int64_t>(step, -n - 1, n + 1);
  for (int64_t i = start; stride > 0 ? i < stop : i > stop; i += stride) out.push_back(items[static_cast<size_t>(i)]);
  runtime.Work(out.size() * kElementWork);
  if (v.is_sequence(SequenceKind::kRange) && n > 0) {
    const int64_t first = items[0].integer(), gap = n > 1 ? items[1].integer() - first : 1;
    return Value(std::move(out), SequenceKind::kRange, RangeLabel(first + start * gap, first + stop * gap, gap * step));
  }
  if (v.is_sequence(SequenceKind::kTuple)) return Tuple(std::move(out));
  if (v.is_sequence()) return Value(std::move(out));
  TextBuilder text(runtime);
  for (const Value& c : out) text += c.text();
  return text.Take();
}

}  // namespace tokenworks::text::jinja
