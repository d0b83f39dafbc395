// SPDX-License-Identifier: Apache-2.0
// Operations on strings that filters and methods share; origins of bytes are kept.
#pragma once

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

enum class Side { kLeft, kRight, kBoth };
// Without the characters of `set` (null: white space) at its ends.
Text Strip(const Text& t, const std::string* set, Side side);
// count < 0: all. An empty `from` matches between all characters.
Text Replace(Runtime& runtime, const Text& t, const Text& from, const Text& to, int64_t count);
// separator null: runs of white space. limit < 0: all.
List Split(Runtime& runtime, const Text& t, const std::string* separator, int64_t limit);
List SplitFromRight(Runtime& runtime, const Text& t, const std::string* separator, int64_t limit);
List SplitLines(Runtime& runtime, const Text& t, bool keep_ends);
Text Capitalize(const Text& t);
// Words as str.title() finds them: runs of letters.
Text TitleLetters(const Text& t);
// Words as the filter finds them: after white space, '-' and opening brackets.
Text TitleWords(const Text& t);
Text Pad(Runtime& runtime, const Text& t, int64_t left, int64_t right, const Text& fill);
Text Center(Runtime& runtime, const Text& t, int64_t width, const Text& fill);
Text EscapeHtml(Runtime& runtime, const Text& t);
// a + b where one of them is markup: the other is escaped.
Text Concatenate(Runtime& runtime, const Text& a, const Text& b);

}  // namespace tokenworks::text::jinja
