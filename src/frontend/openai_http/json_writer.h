// SPDX-License-Identifier: Apache-2.0
// JSON text written in place.
#pragma once

#include <cmath>
#include <iterator>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace tokenworks::openai_http {

// Quoted and escaped; `text` is UTF-8.
inline void AppendJsonString(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        *out += "\\\"";
        break;
      case '\\':
        *out += "\\\\";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          fmt::format_to(std::back_inserter(*out), "\\u{:04x}", static_cast<unsigned char>(c));
        else
          out->push_back(c);
    }
  }
  out->push_back('"');
}

// The shortest form that reads back the same; -9999 for minus infinity, as other servers do.
inline void AppendLogprob(float value, std::string* out) {
  if (!std::isfinite(value)) value = -9999.0f;
  fmt::format_to(std::back_inserter(*out), "{}", value);
}

}  // namespace tokenworks::openai_http
