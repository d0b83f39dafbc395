// SPDX-License-Identifier: Apache-2.0
// Runs a parsed template over a context.
#pragma once

#include <ctime>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

// Variables of a template by name.
using Context = std::vector<std::pair<std::string, Value>>;

// The rendered text. Throws TemplateError, also when a bound of runtime.h is exceeded. `now` is what strftime_now
// shows.
Text Evaluate(const Body& body, const Context& context, const std::tm& now);

}  // namespace tokenworks::text::jinja
