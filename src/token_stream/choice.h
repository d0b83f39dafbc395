// SPDX-License-Identifier: Apache-2.0
// One sequence's tokens to text: detokenizer, stop strings, logprobs, finish.
#pragma once

#include <string>
#include <vector>

#include "text/detokenizer.h"
#include "tokenworks/token_delta.h"

namespace tokenworks::token_stream {

struct OutputToken {
  SampledToken sampled;
  size_t text_offset = 0;  // code points of text before it
};

// What one delta adds.
struct Piece {
  std::string text;
  std::vector<OutputToken> tokens;
  bool finished = false;         // with this piece
  bool stopped_by_text = false;  // the worker does not know yet
};

// Borrows the tokenizer.
class Choice {
 public:
  Choice(uint32_t index, const text::Tokenizer& tokenizer, std::vector<std::string> stops, bool include_stop);

  // Nothing more comes once finished.
  Piece Push(const TokenDelta& delta);

  uint32_t index() const { return index_; }
  bool finished() const { return finish_ != FinishReason::kNone; }
  FinishReason finish() const { return finish_; }
  size_t tokens() const { return count_; }

 private:
  uint32_t index_;
  text::IncrementalDetokenizer detokenizer_;
  text::StopStrings stops_;
  FinishReason finish_ = FinishReason::kNone;
  size_t count_ = 0, code_points_ = 0;
};

}  // namespace tokenworks::token_stream
