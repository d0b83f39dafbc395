// SPDX-License-Identifier: Apache-2.0
// OpenAI's HTTP API over a backend.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "frontend/openai_http/backend.h"
#include "frontend/openai_http/completion_request.h"
#include "platform/base/task_thread.h"
#include "platform/http/server.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tokenworks::openai_http {

struct FrontendOptions {
  std::string model;
  std::vector<std::string> aliases;  // `default` is always one
  int64_t created = 0;               // unix seconds
  int context_length = 0;
  std::string version;
  std::function<std::string()> config_json;  // effective configuration, secrets masked
  std::function<int64_t()> unix_time;        // empty: the system clock
};

// Everything given here outlives the server's threads.
class OpenAiFrontend {
 public:
  // `chat_template` may be null: chat is then refused.
  OpenAiFrontend(FrontendOptions options, const text::Tokenizer& tokenizer, const text::ChatTemplate* chat_template,
                 Backend& backend);
  ~OpenAiFrontend();

  // Adds all routes; before the server's Start.
  void Register(http::Server& server);
  // For ServerOptions::error_body.
  static std::string ErrorBody(int status, const std::string& sentence);

 private:
  using Responder = std::shared_ptr<http::Responder>;
  struct Prepared;
  // Turns a body into what answers it; the second step runs on the connection's thread.
  using Reading = std::function<std::function<void(Responder)>(const http::Request&)>;
  // Reads at once, or on the thread for large bodies; a client that is gone by then gets nothing started.
  void Aside(http::Request request, Responder responder, Reading read);
  Prepared Prepare(bool chat, const http::Request& http) const;
  // False, with the error: so many bytes hold more tokens than the context, whatever they are.
  bool Fits(size_t bytes, const char* param, ApiError* error) const;
  void Complete(bool chat, http::Request http, Responder responder);
  void Tokenize(http::Request http, Responder responder);
  void Detokenize(http::Request http, Responder responder);
  http::Response TokenizeAnswer(const http::Request& http) const;
  http::Response DetokenizeAnswer(const http::Request& http) const;
  void SetRole(const http::Request& http, Responder responder);
  void RegisterSystem(http::Server& server);
  std::string ModelJson() const;
  bool KnowsModel(const std::string& name, ApiError* error) const;
  bool RenderChat(const Json& messages, bool add_generation_prompt, bool must_fit, std::vector<TokenId>* ids,
                  ApiError* error) const;
  std::vector<TokenId> EncodePrompt(const std::string& text, bool add_special) const;

  FrontendOptions options_;
  const text::Tokenizer& tokenizer_;
  const text::ChatTemplate* chat_template_;
  Backend& backend_;
  std::atomic<size_t> aside_bytes_ = 0;
  base::TaskThread aside_;  // last: its tasks use the rest
};

}  // namespace tokenworks::openai_http
