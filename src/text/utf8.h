// SPDX-License-Identifier: Apache-2.0
// UTF-8 checks and lossy decoding, as Python's errors="replace" does it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tokenworks::text {

bool IsValidUtf8(std::string_view bytes);

// Appends the valid part of `bytes` to `out`, with U+FFFD for each maximal bad part. Returns the bytes consumed: all
// when `final`, else all but an incomplete sequence at the end.
size_t AppendUtf8Lossy(std::string_view bytes, bool final, std::string* out);

}  // namespace tokenworks::text
