// SPDX-License-Identifier: Apache-2.0
// One HTTP request and one whole answer.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tokenworks::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method;  // "POST"
  std::string path;    // percent-decoded, without the query
  std::string query;   // as sent
  Headers headers;     // names in lower case
  std::string body;
  std::vector<std::string> captures;  // what stood at `{…}` of the route

  // The first header of that lower-case name, or "".
  std::string_view Header(std::string_view name) const {
    for (const auto& [key, value] : headers)
      if (key == name) return value;
    return {};
  }
};

struct Response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  Headers headers;
};

std::string_view ReasonPhrase(int status);

}  // namespace tokenworks::http
