// SPDX-License-Identifier: Apache-2.0
// Methods that Python's str, dict, list and tuple have.
#pragma once

#include <string>

#include "text/jinja/characters.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

// value.name as a bound method, or undefined. UnsupportedFeature is thrown when a method that is not built is called.
Value Method(const Value& value, const std::string& name);
Value TextMethod(const Value& value, const std::string& name);
// Methods that change their value: templates may not call them.
bool IsUnsafeMethod(const Value& value, const std::string& name);
// As str.isupper() and str.islower(): has letters with case, all of this one.
bool HasOnlyCase(const Text& t, CharacterClass c);

}  // namespace tokenworks::text::jinja
