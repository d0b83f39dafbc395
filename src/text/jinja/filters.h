// SPDX-License-Identifier: Apache-2.0
// Filters of the template language. The table is in filters.cc, the bodies by the kind of what they work on.
#pragma once

#include <string>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

using FilterFunction = Value (*)(Runtime&, const Value&, const Arguments&);
struct NamedFilter {
  const char* name;
  FilterFunction function;
};

// TemplateError for an unknown filter, UnsupportedFeature for one of jinja2's that is not built.
Value ApplyFilter(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments);
bool FilterExists(const std::string& name);

// The rows of the table; each ends with a null name.
extern const NamedFilter kTextFilters[], kNumberFilters[], kSequenceFilters[], kSelectionFilters[];

}  // namespace tokenworks::text::jinja
