// SPDX-License-Identifier: Apache-2.0
// Elements of whatever can be iterated.
#pragma once

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

// Elements of a list, keys of a mapping, characters of a string, nothing of an undefined value; empties a generator.
List Iterate(Runtime& runtime, const Value& value);
// (key, value) tuples.
List Items(Runtime& runtime, const Value& mapping);
// As Python's len(); TemplateError for what has none.
int64_t Length(const Value& value);
Value Tuple(List items);
// What a range prints as.
std::string RangeLabel(int64_t start, int64_t stop, int64_t step);
// What a filter that yields returns.
Value Generator(List items);
// value.name or value[name] for the attribute paths of filters: "a.b", "0", 0. `fallback` (may be null) takes the place
// of what is undefined on the way.
Value AttributePath(Runtime& runtime, const Value& value, const Value& path, const Value* fallback = nullptr);

}  // namespace tokenworks::text::jinja
