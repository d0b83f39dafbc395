// SPDX-License-Identifier: Apache-2.0
#include "token_stream/choice.h"

#include <algorithm>

namespace tokenworks::token_stream {
namespace {

size_t CodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

Choice::Choice(uint32_t index, const text::Tokenizer& tokenizer, std::vector<std::string> stops, bool include_stop)
    : index_(index), detokenizer_(tokenizer), stops_(std::move(stops), include_stop) {}

Piece Choice::Push(const TokenDelta& delta) {
  Piece piece;
  if (finished()) return piece;
  for (size_t i = 0; i < delta.tokens.size(); ++i) {
    if (delta.position + i < count_) continue;
    ++count_;
    piece.tokens.push_back({delta.tokens[i], code_points_});
    const bool end_token = delta.finish == FinishReason::kStop && i + 1 == delta.tokens.size();
    if (end_token) break;
    const std::string text = detokenizer_.Push(delta.tokens[i].token);
    code_points_ += CodePoints(text);
    piece.text += stops_.Push(text);
    if (stops_.stopped()) {
      piece.finished = piece.stopped_by_text = true;
      finish_ = FinishReason::kStop;
      return piece;
    }
  }
  if (delta.finish == FinishReason::kNone) return piece;
  piece.text += stops_.Push(detokenizer_.Finish());
  if (!stops_.stopped()) piece.text += stops_.Finish();
  piece.finished = true;
  finish_ = delta.finish;
  return piece;
}

}  // namespace tokenworks::token_stream
