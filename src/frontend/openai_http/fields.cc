// SPDX-License-Identifier: Apache-2.0
#include "frontend/openai_http/fields.h"

#include <cmath>
#include <limits>

#include "platform/base/str_cat.h"

namespace tokenworks::openai_http {

std::string KindOf(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number()) return value.dump();
  if (value.is_string()) return "a string";
  return value.is_array() ? "an array" : "an object";
}

std::optional<int64_t> AsInteger(const Json& value) {
  if (value.is_number_unsigned()) {
    const uint64_t v = value.get<uint64_t>();
    if (v > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(v);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) {
    const double v = value.get<double>();
    if (std::trunc(v) == v && std::abs(v) < 9e15) return static_cast<int64_t>(v);
  }
  return std::nullopt;
}

Json* Fields::Find(const char* name) const {
  auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

void Fields::Fail(const std::string& name, const std::string& sentence) {
  if (!std::exchange(ok_, false)) return;
  const std::string full = prefix_ + name;
  *error_ = {.status = 400, .message = base::StrCat("`", full, "` ", sentence), .param = full, .code = ""};
}

std::optional<double> Fields::Number(const char* name, const request_limits::Range& range) {
  const Json* value = Find(name);
  if (!value) return std::nullopt;
  const double v = value->is_number() ? value->get<double>() : std::nan("");
  if (!range.Holds(v)) {
    Fail(name, base::StrCat("must be a number ", range.low_open ? "above " : "from ", range.low,
                            range.low_open ? " and at most " : " to ", range.high, "; it is ", KindOf(*value), "."));
    return std::nullopt;
  }
  return v;
}

std::optional<int64_t> Fields::Integer(const char* name, int64_t low, int64_t high) {
  const Json* value = Find(name);
  if (!value) return std::nullopt;
  const std::optional<int64_t> v = AsInteger(*value);
  if (!v || *v < low || *v > high) {
    Fail(name, base::StrCat("must be a whole number from ", low, " to ", high, "; it is ", KindOf(*value), "."));
    return std::nullopt;
  }
  return v;
}

bool Fields::Boolean(const char* name, bool otherwise) {
  const Json* value = Find(name);
  if (!value) return otherwise;
  if (!value->is_boolean()) {
    Fail(name, base::StrCat("must be true or false; it is ", KindOf(*value), "."));
    return otherwise;
  }
  return value->get<bool>();
}

std::optional<std::string> Fields::Text(const char* name, size_t max_bytes) {
  const Json* value = Find(name);
  if (!value) return std::nullopt;
  if (!value->is_string() || value->get_ref<const std::string&>().size() > max_bytes) {
    Fail(name, base::StrCat("must be a string of at most ", max_bytes, " bytes; it is ",
                            value->is_string() ? "longer" : KindOf(*value), "."));
    return std::nullopt;
  }
  return value->get<std::string>();
}

}  // namespace tokenworks::openai_http
