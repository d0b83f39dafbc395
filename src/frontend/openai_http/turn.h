// SPDX-License-Identifier: Apache-2.0
// One completion from submit to the last byte.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "frontend/openai_http/answer_writer.h"
#include "frontend/openai_http/backend.h"
#include "platform/http/server.h"

namespace tokenworks::openai_http {

struct TurnInputs {
  CompletionRequest request;
  std::vector<std::vector<TokenId>> prompts;  // one router request each; choices count through all
  std::string model;                          // as served
  std::string request_id;                     // x-request-id
  std::string trace_parent;
  int64_t created = 0;  // unix seconds
  uint64_t seed = 0;
  std::vector<int> max_tokens;  // per prompt
};

// Lives on the connection's thread; only Enqueue is called from others. Kept alive by its sinks.
class Turn : public std::enable_shared_from_this<Turn> {
 public:
  // `tokenizer` and `backend` outlive it.
  Turn(TurnInputs inputs, const text::Tokenizer& tokenizer, Backend& backend,
       std::shared_ptr<http::Responder> responder);
  void Start();

  struct Event {
    size_t prompt;
    std::variant<TokenDelta, RequestSummary> what;
  };
  void Enqueue(Event event);

 private:
  void Drain();
  void OnTokens(size_t prompt, const TokenDelta& delta, std::string* out);
  void OnEnd(size_t prompt, RequestSummary summary);
  void OnClientGone();
  void Complete(std::string* out);
  // Before the stream: a plain refusal; after: an error event. Cancels what still runs.
  void Fail(const ApiError& error, std::string* out);
  void CancelAll(CancelReason reason);
  void FlushStream(const std::string& out);
  bool AllFinished() const;
  Usage CountUsage() const;
  http::Headers AnswerHeaders() const { return {{"x-request-id", in_.request_id}}; }

  TurnInputs in_;
  Backend& backend_;
  std::shared_ptr<http::Responder> responder_;
  AnswerWriter writer_;
  std::vector<RequestId> ids_;
  std::vector<Choice> choices_;
  std::vector<WholeChoice> contents_;      // whole answers only
  std::vector<bool> begun_;                // streams: the role was sent
  std::vector<bool> ended_;                // per prompt
  std::vector<RequestSummary> summaries_;  // per prompt
  bool stream_open_ = false, done_ = false, grace_over_ = false;
  int held_finish_ = -1;  // the choice whose finish waits for the timings
  const text::Tokenizer& tokenizer_;

  std::mutex mutex_;
  std::vector<Event> inbox_;   // guarded by mutex_; bounded by what the router's own stream bound lets through
  bool drain_posted_ = false;  // guarded by mutex_
};

}  // namespace tokenworks::openai_http
