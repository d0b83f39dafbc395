// SPDX-License-Identifier: Apache-2.0
// JSON of completions: whole answers and server-sent events.
#pragma once

#include <string>
#include <vector>

#include "frontend/openai_http/completion_request.h"
#include "token_stream/choice.h"
#include "tokenworks/token_sink.h"

namespace tokenworks::openai_http {

struct Usage {
  size_t prompt = 0, completion = 0, cached = 0;
};

using token_stream::Choice;
using token_stream::OutputToken;
using token_stream::Piece;

struct WholeChoice {
  std::string text;
  std::vector<OutputToken> tokens;
};

// Holds what is the same in all chunks of one answer.
class AnswerWriter {
 public:
  AnswerWriter(const CompletionRequest& request, const text::Tokenizer& tokenizer, std::string_view id, int64_t created,
               std::string_view model);

  // `data: {…}\n\n` events appended to `out`. `usage` may be null.
  void FirstDelta(uint32_t index, const Usage* usage, std::string* out) const;
  void Delta(uint32_t index, const Piece& piece, const Usage* usage, std::string* out) const;
  // `summary` null: no timings.
  void Finish(uint32_t index, FinishReason reason, const Usage* usage, const RequestSummary* summary,
              std::string* out) const;
  void UsageChunk(const Usage& usage, const RequestSummary& summary, std::string* out) const;

  std::string Whole(const std::vector<Choice>& choices, const std::vector<WholeChoice>& contents, const Usage& usage,
                    const RequestSummary& summary) const;

 private:
  void Close(const Usage* usage, const RequestSummary* summary, std::string* out) const;
  void Logprobs(const std::vector<OutputToken>& tokens, std::string* out) const;
  void ChatLogprob(TokenId token, float logprob, std::string* out) const;
  void TextLogprobs(const std::vector<OutputToken>& tokens, std::string* out) const;
  void TokenIds(const std::vector<OutputToken>& tokens, std::string* out) const;
  // A token's text for logprobs: `bytes:\xe2\x80` when it is no UTF-8 of its own.
  std::string TokenText(TokenId token) const;

  const CompletionRequest& request_;
  const text::Tokenizer& tokenizer_;
  std::string head_, whole_head_;
};

}  // namespace tokenworks::openai_http
