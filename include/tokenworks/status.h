// SPDX-License-Identifier: Apache-2.0
// Status and StatusOr are Abseil's, aliased once here. A message says what was tried, on what, what
// was found and what to do.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tokenworks {

using Status = absl::Status;
template <typename T>
using StatusOr = absl::StatusOr<T>;
using StatusCode = absl::StatusCode;

// A status may carry the code that OpenAI's clients look for, such as context_length_exceeded.
inline constexpr char kErrorCodePayload[] = "tokenworks/error_code";

inline Status OkStatus() { return absl::OkStatus(); }

}  // namespace tokenworks

#define TW_CONCAT_INNER(a, b) a##b
#define TW_CONCAT(a, b) TW_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expression` is not ok.
#define TW_RETURN_IF_ERROR(expression)                                                    \
  do {                                                                                    \
    if (::tokenworks::Status tw_status = (expression); !tw_status.ok()) return tw_status; \
  } while (false)

// TW_ASSIGN_OR_RETURN(auto x, F()): x = *F(), or returns F()'s status.
#define TW_ASSIGN_OR_RETURN(declaration, expression)                                             \
  auto TW_CONCAT(tw_or_, __LINE__) = (expression);                                               \
  if (!TW_CONCAT(tw_or_, __LINE__).ok()) return std::move(TW_CONCAT(tw_or_, __LINE__)).status(); \
  declaration = std::move(*TW_CONCAT(tw_or_, __LINE__))
