// SPDX-License-Identifier: Apache-2.0
// Runs a parsed template over a context.
#pragma once

#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

inline constexpr size_t kMaxOutputBytes = 32u << 20;
inline constexpr int kMaxSteps = 2'000'000;  // statements and expressions evaluated

// The rendered text. Throws TemplateError, also when a bound is exceeded. `context` is a mapping of variables.
Text Evaluate(const std::vector<NodePtr>& body, const Dict& context);

}  // namespace tokenworks::text::jinja
