// SPDX-License-Identifier: Apache-2.0
// Template source to tokens, with white-space control applied (trim_blocks and lstrip_blocks on, as transformers sets
// them).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tokenworks::text::jinja {

enum class TokenKind {
  kData,
  kBlockBegin,
  kBlockEnd,
  kPrintBegin,
  kPrintEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;
};

// Throws TemplateError with the line.
std::vector<Token> Lex(std::string_view source);

}  // namespace tokenworks::text::jinja
