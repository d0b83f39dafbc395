// SPDX-License-Identifier: Apache-2.0
// Typed reading of one JSON object's fields; the first fault is kept. A null field counts as absent.
#pragma once

#include <optional>
#include <string>

#include "frontend/openai_http/completion_request.h"
#include "frontend/request_limits.h"

namespace tokenworks::openai_http {

class Fields {
 public:
  Fields(Json& object, ApiError* error, std::string prefix = "")
      : object_(object), error_(error), prefix_(std::move(prefix)) {}

  // Null when absent.
  Json* Find(const char* name) const;
  bool Has(const char* name) const { return Find(name) != nullptr; }
  std::optional<double> Number(const char* name, const request_limits::Range& range);
  std::optional<int64_t> Integer(const char* name, int64_t low, int64_t high);
  std::optional<int64_t> Integer(const char* name, const request_limits::Range& range) {
    return Integer(name, static_cast<int64_t>(range.low), static_cast<int64_t>(range.high));
  }
  bool Boolean(const char* name, bool otherwise);
  std::optional<std::string> Text(const char* name, size_t max_bytes);
  void Fail(const std::string& name, const std::string& sentence);
  bool ok() const { return ok_; }

 private:
  Json& object_;
  ApiError* error_;
  std::string prefix_;
  bool ok_ = true;
};

// "a string", "a number", …
std::string KindOf(const Json& value);
// Whole numbers, also when written as 3.0.
std::optional<int64_t> AsInteger(const Json& value);

}  // namespace tokenworks::openai_http
