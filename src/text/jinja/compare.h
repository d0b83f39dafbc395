// SPDX-License-Identifier: Apache-2.0
// Equality, order and membership, as Python has them.
#pragma once

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

bool Equal(Runtime& runtime, const Value& a, const Value& b);
// -1, 0, 1; TemplateError for types that have no order.
int Compare(Runtime& runtime, const Value& a, const Value& b);
bool Contains(Runtime& runtime, const Value& container, const Value& item);

}  // namespace tokenworks::text::jinja
