// SPDX-License-Identifier: Apache-2.0
// Python's two ways to format: the % operator and str.format().
#pragma once

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

// format % values: a tuple, a mapping for %(name)s, or one value.
Text PercentFormat(Runtime& runtime, const Text& format, const Value& values);
// Fields {}, {0}, {name} with fill, alignment, width, precision and type. UnsupportedFeature for attribute and index
// fields.
Text BraceFormat(Runtime& runtime, const Text& format, const Arguments& arguments);

}  // namespace tokenworks::text::jinja
