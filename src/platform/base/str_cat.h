// SPDX-License-Identifier: Apache-2.0
// StrCat for std::string_view (Debian's Abseil has a string_view of its own).
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>

namespace tokenworks::base {

// The arguments one after the other, as fmt prints them.
template <typename... T>
std::string StrCat(const T&... parts) {
  std::string out;
  (fmt::format_to(std::back_inserter(out), "{}", parts), ...);
  return out;
}

}  // namespace tokenworks::base
