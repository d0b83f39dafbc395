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

// Larger bodies are read on a thread of their own, so that streams and other clients do not wait for them; beyond so
// many bytes in its queue they are refused.
constexpr size_t kInlineBytes = 32u << 10, kAsideBytes = 128u << 20;

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

ApiError TooLong(const char* param, int context_length, const std::string& tokens) {
  return {400,
          base::StrCat("This model's maximum context length is ", context_length, " tokens. However, your ", param,
                       " resulted in ", tokens,
                       " tokens, which leaves no room for an answer. Please reduce the length of the ", param, "."),
          param, "context_length_exceeded"};
}

bool CheckPrompt(const std::vector<TokenId>& ids, bool chat, int context_length, ApiError* error) {
  const char* param = chat ? "messages" : "prompt";
  if (ids.empty())
    return *error = {400, base::StrCat("`", param, "` has no tokens; at least one is needed."), param}, false;
  if (ids.size() < static_cast<size_t>(context_length)) return true;
  return *error = TooLong(param, context_length, base::StrCat(ids.size())), false;
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

bool OpenAiFrontend::RenderChat(const Json& messages, bool add_generation_prompt, bool must_fit,
                                std::vector<TokenId>* ids, ApiError* error) const {
  if (!chat_template_)
    return *error = {400, "This model has no chat template; use /v1/completions.", "messages"}, false;
  const auto segments = chat_template_->Render(messages, Json(), add_generation_prompt, Json());
  if (!segments.ok()) return *error = {400, std::string(segments.status().message()), "messages"}, false;
  size_t bytes = 0;
  for (const text::Segment& s : *segments) bytes += s.text.size();
  if (must_fit && !Fits(bytes, "messages", error)) return false;
  *ids = tokenizer_.Encode(std::span<const text::Segment>(*segments));
  return true;
}

std::vector<TokenId> OpenAiFrontend::EncodePrompt(const std::string& text, bool add_special) const {
  std::vector<TokenId> ids = tokenizer_.Encode(text);
  if (add_special && tokenizer_.add_bos() && tokenizer_.bos() >= 0) ids.insert(ids.begin(), tokenizer_.bos());
  return ids;
}

// What a body has become: a turn that can start, or why not.
struct OpenAiFrontend::Prepared {
  TurnInputs in;
  ApiError error;
  bool ok = false;
};

bool OpenAiFrontend::Fits(size_t bytes, const char* param, ApiError* error) const {
  const size_t fewest = tokenizer_.FewestTokens(bytes);
  if (fewest < static_cast<size_t>(options_.context_length)) return true;
  *error = TooLong(param, options_.context_length, base::StrCat("at least ", fewest));
  return false;
}

OpenAiFrontend::Prepared OpenAiFrontend::Prepare(bool chat, const http::Request& http) const {
  Prepared p;
  p.in.request_id = RequestIdOf(http);
  Json body;
  CompletionRequest& r = p.in.request;
  const Limits limits{tokenizer_.vocabulary()};
  if (!ParseBody(http.body, &body, &p.error) ||
      !(chat ? ParseChat(body, limits, &r, &p.error) : ParseCompletion(body, limits, &r, &p.error)) ||
      !KnowsModel(r.model, &p.error))
    return p;
  if (chat) {
    p.in.prompts.emplace_back();
    if (!RenderChat(r.messages, true, true, &p.in.prompts[0], &p.error)) return p;
    r.messages = Json();
  }
  for (auto& prompt : r.prompts) {
    if (auto* text = std::get_if<std::string>(&prompt)) {
      if (!Fits(text->size(), "prompt", &p.error)) return p;
      p.in.prompts.push_back(EncodePrompt(*text, true));
    } else {
      p.in.prompts.push_back(std::move(std::get<std::vector<TokenId>>(prompt)));
    }
  }
  for (const auto& ids : p.in.prompts) {
    if (!CheckPrompt(ids, chat, options_.context_length, &p.error)) return p;
    const int room = options_.context_length - static_cast<int>(ids.size());
    p.in.max_tokens.push_back(std::min(r.max_tokens.value_or(chat ? room : 16), room));
  }
  p.in.model = options_.model;
  p.in.trace_parent = std::string(http.Header("traceparent").substr(0, 128));
  p.in.created = options_.unix_time();
  p.in.seed = r.seed ? *r.seed : RandomBits();
  p.ok = true;
  return p;
}

void OpenAiFrontend::Complete(bool chat, http::Request http, Responder responder) {
  Aside(std::move(http), std::move(responder), [this, chat](const http::Request& request) {
    auto prepared = std::make_shared<Prepared>(Prepare(chat, request));
    return [this, prepared](Responder responder) {
      if (!prepared->ok) return SendError(responder, prepared->error, prepared->in.request_id);
      std::make_shared<Turn>(std::move(prepared->in), tokenizer_, backend_, std::move(responder))->Start();
    };
  });
}

void OpenAiFrontend::Aside(http::Request request, Responder responder, Reading read) {
  const size_t bytes = request.body.size();
  if (bytes <= kInlineBytes) return read(request)(std::move(responder));
  if (aside_bytes_ + bytes > kAsideBytes)
    return responder->Send(ErrorResponse({503, "Too many large requests are being read; try again shortly."}));
  aside_bytes_ += bytes;
  auto kept = std::make_shared<http::Request>(std::move(request));
  aside_.Post([this, kept, bytes, responder = std::move(responder), read = std::move(read)]() mutable {
    auto answer = read(*kept);
    aside_bytes_ -= bytes;
    http::Responder& at = *responder;
    at.Post([answer = std::move(answer), responder = std::move(responder)]() mutable {
      if (responder->Alive()) answer(std::move(responder));
    });
  });
}

void OpenAiFrontend::Register(http::Server& server) {
  server.Route("POST", "/v1/chat/completions", [this](http::Request request, Responder responder) {
    Complete(true, std::move(request), std::move(responder));
  });
  server.Route("POST", "/v1/completions", [this](http::Request request, Responder responder) {
    Complete(false, std::move(request), std::move(responder));
  });
  for (const char* path : {"/tokenize", "/v1/tokenize"})
    server.Route("POST", path, [this](http::Request request, Responder responder) {
      Tokenize(std::move(request), std::move(responder));
    });
  for (const char* path : {"/detokenize", "/v1/detokenize"})
    server.Route("POST", path, [this](http::Request request, Responder responder) {
      Detokenize(std::move(request), std::move(responder));
    });
  RegisterSystem(server);
}

}  // namespace tokenworks::openai_http
