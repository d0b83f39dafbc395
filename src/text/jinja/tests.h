// SPDX-License-Identifier: Apache-2.0
// Tests of the template language (`value is name`).
#pragma once

#include <string>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

// TemplateError for an unknown test.
bool ApplyTest(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments);

}  // namespace tokenworks::text::jinja
