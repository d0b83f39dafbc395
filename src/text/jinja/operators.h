// SPDX-License-Identifier: Apache-2.0
// Arithmetic and comparison operators.
#pragma once

#include <string>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

// + - * / // % **
Value BinaryOperator(Runtime& runtime, const std::string& op, const Value& a, const Value& b);
// + -
Value SignOperator(const std::string& op, const Value& v);
// == != < <= > >= in, not in
bool CompareOperator(Runtime& runtime, const std::string& op, const Value& a, const Value& b);

}  // namespace tokenworks::text::jinja
