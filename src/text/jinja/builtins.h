// SPDX-License-Identifier: Apache-2.0
// Filters, tests, methods and global functions of the template language.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

Value ApplyFilter(const std::string& name, const Value& value, const Arguments& arguments);
bool ApplyTest(const std::string& name, const Value& value, const Arguments& arguments);
// value.name as a bound method, or undefined.
Value Method(const Value& value, const std::string& name);
// range, namespace, dict, raise_exception, strftime_now; undefined for other names.
Value Global(const std::string& name);

Text Trim(const Text& t, std::string_view set, bool left, bool right);
bool Contains(const Value& container, const Value& item);
// Elements of a list, keys of a mapping, characters of a string.
List Iterate(const Value& value);
int64_t Length(const Value& value);

}  // namespace tokenworks::text::jinja
