// SPDX-License-Identifier: Apache-2.0
// Functions that every template can call.
#pragma once

#include <string>

#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

// range, dict, namespace, joiner, cycler, raise_exception, strftime_now; undefined for other names.
Value Global(const std::string& name);

}  // namespace tokenworks::text::jinja
