// SPDX-License-Identifier: Apache-2.0
// value.name, value[key] and value[a:b:c].
#pragma once

#include <optional>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

// Methods come first, then items; undefined when there is neither. TemplateError for an undefined value.
Value Attribute(Runtime& runtime, const Value& value, const std::string& name);
// Items come first, then methods.
Value Subscript(Runtime& runtime, const Value& value, const Value& key);
// Undefined or none parts take their default.
Value Slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop, const Value& step);

}  // namespace tokenworks::text::jinja
