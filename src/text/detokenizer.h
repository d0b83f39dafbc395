// SPDX-License-Identifier: Apache-2.0
// Token by token back to text, never half a code point; and stop strings over that text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace tokenworks::text {

// One per sequence. Borrows the tokenizer.
class IncrementalDetokenizer {
 public:
  explicit IncrementalDetokenizer(const Tokenizer& tokenizer, bool with_special = false)
      : tokenizer_(&tokenizer), with_special_(with_special) {}

  // The text that this token completes (may be empty).
  std::string Push(TokenId token);
  // What is left: U+FFFD for an unfinished character.
  std::string Finish();

 private:
  const Tokenizer* tokenizer_;
  bool with_special_;
  std::string pending_;
};

// Finds the earliest stop string in a growing text and holds back what could still become one.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops = {}, bool include = false)
      : stops_(std::move(stops)), include_(include) {}

  // Text that may be sent now. After a match `stopped()` is true and nothing more comes.
  std::string Push(std::string_view text);
  // The held back rest, when the sequence ended otherwise.
  std::string Finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  bool include_;
  bool stopped_ = false;
  std::string held_;
};

}  // namespace tokenworks::text
