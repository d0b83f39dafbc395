// SPDX-License-Identifier: Apache-2.0
// Unicode as Python's str sees it: code points, their classes and their case.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

// Bytes of the character at `at`.
size_t CharacterSize(std::string_view s, size_t at);
int64_t CharacterCount(std::string_view s);
// Byte offset of character `index` (the end when there are fewer).
size_t CharacterOffset(std::string_view s, int64_t index);
uint32_t CodePoint(std::string_view character);
void AppendUtf8(uint32_t code, std::string* out);

enum class CharacterClass { kAlphabetic, kUpper, kLower, kNumeric, kDecimal, kWord, kUnprintable };
bool Is(CharacterClass c, std::string_view character);
bool IsSpace(std::string_view character);
bool IsLineEnd(std::string_view character);

Text Upper(const Text& t);
Text Lower(const Text& t);

}  // namespace tokenworks::text::jinja
