// SPDX-License-Identifier: Apache-2.0
#include "frontend/openai_http/api_error.h"

#include <algorithm>
#include <cmath>

#include "frontend/openai_http/json_writer.h"
#include "platform/base/str_cat.h"
#include "text/utf8.h"

namespace tokenworks::openai_http {
namespace {

const char* TypeOf(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "service_unavailable_error";
    case 504:
      return "timeout_error";
  }
  return status >= 500 ? "server_error" : "invalid_request_error";
}

}  // namespace

std::string ErrorJson(const ApiError& error) {
  std::string out = "{\"error\":{\"message\":", message;
  text::AppendUtf8Lossy(error.message, true, &message);  // it may quote what a client sent
  AppendJsonString(message, &out);
  out += base::StrCat(",\"type\":\"", TypeOf(error.status), "\",\"param\":");
  error.param.empty() ? void(out += "null") : AppendJsonString(error.param, &out);
  out += ",\"code\":";
  error.code.empty() ? void(out += "null") : AppendJsonString(error.code, &out);
  return out + "}}";
}

http::Response ErrorResponse(const ApiError& error) {
  http::Response response;
  response.status = error.status;
  response.body = ErrorJson(error);
  if (error.status == 429 || error.status == 503)
    response.headers.emplace_back(
        "Retry-After", base::StrCat(static_cast<int>(std::ceil(std::clamp(error.retry_after_s, 1.0, 3600.0)))));
  return response;
}

ApiError FromStatus(const Status& status, double retry_after_s) {
  ApiError error;
  if (const auto code = status.GetPayload(kErrorCodePayload)) error.code = std::string(*code);
  switch (status.code()) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
      error.status = 400;
      break;
    case StatusCode::kNotFound:
      error.status = 404;
      break;
    case StatusCode::kFailedPrecondition:
      error.status = 409;
      break;
    case StatusCode::kResourceExhausted:
      error.status = 429;
      break;
    case StatusCode::kCancelled:
      error.status = 499;
      break;
    case StatusCode::kUnavailable:
      error.status = 503;
      break;
    case StatusCode::kDeadlineExceeded:
      error.status = 504;
      break;
    default:
      error.status = 500;
  }
  error.message.assign(status.message().data(), status.message().size());
  if (error.status == 429) error.code = "rate_limit_exceeded";
  error.retry_after_s = retry_after_s;
  return error;
}

}  // namespace tokenworks::openai_http
