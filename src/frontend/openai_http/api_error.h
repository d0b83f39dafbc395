// SPDX-License-Identifier: Apache-2.0
// A refusal in OpenAI's shape.
#pragma once

#include <string>

#include "platform/http/message.h"
#include "tokenworks/status.h"

namespace tokenworks::openai_http {

struct ApiError {
  int status = 400;
  std::string message;
  std::string param;  // empty = null
  std::string code;   // empty = null
  double retry_after_s = 0;
};

// {"error":{"message","type","param","code"}}
std::string ErrorJson(const ApiError& error);
http::Response ErrorResponse(const ApiError& error);
// InvalidArgument 400, NotFound 404, ResourceExhausted 429, Cancelled 499, Unavailable 503, DeadlineExceeded 504,
// others 500.
ApiError FromStatus(const Status& status, double retry_after_s = 0);

}  // namespace tokenworks::openai_http
