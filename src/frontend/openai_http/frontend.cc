// SPDX-License-Identifier: Apache-2.0
#include "frontend/openai_http/frontend.h"

#include <algorithm>
#include <ctime>
#include <random>

#include "frontend/openai_http/turn.h"
#include "frontend/request_limits.h"
#include "platform/base/str_cat.h"

namespace tokenworks::openai_http {
namespace {

uint64_t RandomBits() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    return std::mt19937_64((static_cast<uint64_t>(device()) << 32) ^ device());
  }();
  return generator();
}

// The client's own id if it is short and plain, else a new one.
std::string RequestIdOf(const http::Request& http) {
  const std::string_view given = http.Header("x-request-id");
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  };
  if (!given.empty() && given.size() <= request_limits::kMaxRequestIdBytes &&
      std::all_of(given.begin(), given.end(), plain))
    return std::string(given);
  return fmt::format("{:016x}{:016x}", RandomBits(), RandomBits());
}

void SendError(const std::shared_ptr<http::Responder>& responder, const ApiError& error,
               const std::string& request_id) {
  http::Response response = ErrorResponse(error);
  response.headers.emplace_back("x-request-id", request_id);
  responder->Send(std::move(response));
}

bool CheckPrompt(const std::vector<TokenId>& ids, bool chat, int context_length, ApiError* error) {
  const char* param = chat ? "messages" : "prompt";
  if (ids.empty())
    return *error = {400, base::StrCat("`", param, "` has no tokens; at least one is needed."), param}, false;
  if (ids.size() < static_cast<size_t>(context_length)) return true;
  *error = {400,
            base::StrCat("This model's maximum context length is ", context_length, " tokens. However, your ", param,
                         " resulted in ", ids.size(),
                         " tokens, which leaves no room for an answer. Please reduce the length of the ", param, "."),
            param, "context_length_exceeded"};
  return false;
}

}  // namespace

OpenAiFrontend::OpenAiFrontend(FrontendOptions options, const text::Tokenizer& tokenizer,
                               const text::ChatTemplate* chat_template, Backend& backend)
    : options_(std::move(options)), tokenizer_(tokenizer), chat_template_(chat_template), backend_(backend) {
  if (!options_.unix_time) options_.unix_time = [] { return static_cast<int64_t>(std::time(nullptr)); };
}

OpenAiFrontend::~OpenAiFrontend() = default;

std::string OpenAiFrontend::ErrorBody(int status, const std::string& sentence) { return ErrorJson({status, sentence}); }

bool OpenAiFrontend::KnowsModel(const std::string& name, ApiError* error) const {
  if (name.empty() || name == "default" || name == options_.model) return true;
  if (std::find(options_.aliases.begin(), options_.aliases.end(), name) != options_.aliases.end()) return true;
  *error = {
      404,
      base::StrCat("The model `", name.substr(0, 128), "` does not exist; this server has `", options_.model, "`."),
      "model", "model_not_found"};
  return false;
}

bool OpenAiFrontend::RenderChat(const Json& messages, bool add_generation_prompt, std::vector<TokenId>* ids,
                                ApiError* error) const {
  if (!chat_template_)
    return *error = {400, "This model has no chat template; use /v1/completions.", "messages"}, false;
  const auto segments = chat_template_->Render(messages, Json(), add_generation_prompt, Json());
  if (!segments.ok()) return *error = {400, std::string(segments.status().message()), "messages"}, false;
  *ids = tokenizer_.Encode(std::span<const text::Segment>(*segments));
  return true;
}

std::vector<TokenId> OpenAiFrontend::EncodePrompt(const std::string& text, bool add_special) const {
  std::vector<TokenId> ids = tokenizer_.Encode(text);
  if (add_special && tokenizer_.add_bos() && tokenizer_.bos() >= 0) ids.insert(ids.begin(), tokenizer_.bos());
  return ids;
}

void OpenAiFrontend::Complete(bool chat, const http::Request& http, Responder responder) {
  TurnInputs in;
  in.request_id = RequestIdOf(http);
  Json body;
  ApiError error;
  CompletionRequest& r = in.request;
  const Limits limits{tokenizer_.vocabulary()};
  if (!ParseBody(http.body, &body, &error) ||
      !(chat ? ParseChat(body, limits, &r, &error) : ParseCompletion(body, limits, &r, &error)) ||
      !KnowsModel(r.model, &error))
    return SendError(responder, error, in.request_id);
  if (chat) {
    in.prompts.emplace_back();
    if (!RenderChat(r.messages, true, &in.prompts[0], &error)) return SendError(responder, error, in.request_id);
    r.messages = Json();
  }
  for (auto& prompt : r.prompts) {
    if (auto* text = std::get_if<std::string>(&prompt))
      in.prompts.push_back(EncodePrompt(*text, true));
    else
      in.prompts.push_back(std::move(std::get<std::vector<TokenId>>(prompt)));
  }
  for (const auto& ids : in.prompts) {
    if (!CheckPrompt(ids, chat, options_.context_length, &error)) return SendError(responder, error, in.request_id);
    const int room = options_.context_length - static_cast<int>(ids.size());
    in.max_tokens.push_back(std::min(r.max_tokens.value_or(chat ? room : 16), room));
  }
  in.model = options_.model;
  in.trace_parent = std::string(http.Header("traceparent").substr(0, 128));
  in.created = options_.unix_time();
  in.seed = r.seed ? *r.seed : RandomBits();
  std::make_shared<Turn>(std::move(in), tokenizer_, backend_, std::move(responder))->Start();
}

void OpenAiFrontend::Register(http::Server& server) {
  server.Route("POST", "/v1/chat/completions",
               [this](http::Request request, Responder responder) { Complete(true, request, std::move(responder)); });
  server.Route("POST", "/v1/completions",
               [this](http::Request request, Responder responder) { Complete(false, request, std::move(responder)); });
  for (const char* path : {"/tokenize", "/v1/tokenize"})
    server.Route("POST", path,
                 [this](http::Request request, Responder responder) { Tokenize(request, std::move(responder)); });
  for (const char* path : {"/detokenize", "/v1/detokenize"})
    server.Route("POST", path,
                 [this](http::Request request, Responder responder) { Detokenize(request, std::move(responder)); });
  RegisterSystem(server);
}

}  // namespace tokenworks::openai_http
