// SPDX-License-Identifier: Apache-2.0
// Values as text: Python's str(), repr() and json.dumps(), and values from JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

Text ToText(Runtime& runtime, const Value& v);
Text Repr(Runtime& runtime, const Value& v);

struct JsonStyle {
  bool ascii = false, sorted = false;
  std::optional<Text> indent;  // of one level; absent = one line
  Text item_separator = Text(", "), key_separator = Text(": ");
};
Text ToJson(Runtime& runtime, const Value& v, const JsonStyle& style);

// Strings and keys count as written by the user. TemplateError when nested too deeply.
Value FromJson(const nlohmann::ordered_json& json);

}  // namespace tokenworks::text::jinja
