// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/iterate.h"

#include "text/jinja/characters.h"
#include "text/jinja/subscript.h"

namespace tokenworks::text::jinja {

List Iterate(Runtime& runtime, const Value& value) {
  if (value.is_sequence()) {
    runtime.Work(value.list().size());
    if (value.is_sequence(SequenceKind::kGenerator)) return std::exchange(value.sequence().items, {});
    return value.list();
  }
  List out;
  if (value.is_dict()) {
    runtime.Work(value.dict().size() * kElementWork);
    for (const auto& [key, v] : value.dict()) out.push_back(key);
  } else if (value.is_text()) {
    const Text& t = value.text();
    runtime.Work(t.bytes.size() * 2 * kElementWork);
    for (size_t i = 0; i < t.bytes.size();) {
      const size_t n = CharacterSize(t.bytes, i);
      out.push_back(t.Slice(i, n));
      i += n;
    }
  } else if (!value.is_undefined()) {
    throw TemplateError("'" + TypeName(value) + "' cannot be iterated");
  }
  return out;
}

List Items(Runtime& runtime, const Value& mapping) {
  List out;
  runtime.Work(mapping.dict().size() * 4 * kElementWork);
  for (const auto& [key, v] : mapping.dict()) out.push_back(Tuple({key, v}));
  return out;
}

int64_t Length(const Value& v) {
  if (v.is_sequence() && !v.is_sequence(SequenceKind::kGenerator)) return static_cast<int64_t>(v.list().size());
  if (v.is_dict()) return static_cast<int64_t>(v.dict().size());
  if (v.is_text()) return CharacterCount(v.bytes());
  if (v.is_undefined()) return 0;
  throw TemplateError("'" + TypeName(v) + "' has no length");
}

std::string RangeLabel(int64_t start, int64_t stop, int64_t step) {
  return "range(" + std::to_string(start) + ", " + std::to_string(stop) +
         (step == 1 ? ")" : ", " + std::to_string(step) + ")");
}

Value Tuple(List items) { return Value(std::move(items), SequenceKind::kTuple); }
Value Generator(List items) { return Value(std::move(items), SequenceKind::kGenerator, "<generator object>"); }

Value AttributePath(Runtime& runtime, const Value& value, const Value& path, const Value* fallback) {
  const auto step = [&](const Value& from, const Value& key) {
    Value found = Subscript(runtime, from, key);
    return found.is_undefined() && fallback != nullptr && !fallback->is_none() ? *fallback : found;
  };
  if (!path.is_text()) return step(value, path);
  Value current = value;
  const std::string& s = path.bytes();
  for (size_t at = 0; at <= s.size();) {
    const size_t end = std::min(s.find('.', at), s.size());
    const std::string part = s.substr(at, end - at);
    const bool digits = !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string::npos;
    current = step(current, digits ? Value(static_cast<int64_t>(std::stoll(part))) : Value(Text(part)));
    at = end + 1;
  }
  return current;
}

}  // namespace tokenworks::text::jinja
