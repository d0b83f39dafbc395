// SPDX-License-Identifier: Apache-2.0
// Models, tokenizer, health, metrics, cluster.
#include "frontend/openai_http/fields.h"
#include "frontend/openai_http/frontend.h"
#include "frontend/openai_http/json_writer.h"
#include "platform/base/str_cat.h"

namespace tokenworks::openai_http {
namespace {

http::Response JsonAnswer(std::string body) {
  http::Response response;
  response.body = std::move(body);
  return response;
}

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(text, &out);
  return out;
}

}  // namespace

std::string OpenAiFrontend::ModelJson() const {
  return base::StrCat("{\"id\":", Quoted(options_.model), ",\"object\":\"model\",\"created\":", options_.created,
                      ",\"owned_by\":\"tokenworks\",\"max_model_len\":", options_.context_length, "}");
}

http::Response OpenAiFrontend::TokenizeAnswer(const http::Request& http) const {
  Json body;
  ApiError error;
  if (!ParseBody(http.body, &body, &error)) return ErrorResponse(error);
  Fields f(body, &error);
  const std::string model = f.Text("model", 1024).value_or("");
  const bool add_special = f.Boolean("add_special_tokens", true);
  const bool add_generation_prompt = f.Boolean("add_generation_prompt", true);
  const bool strings = f.Boolean("return_token_strs", false);
  std::vector<TokenId> ids;
  if (!f.ok() || !KnowsModel(model, &error)) return ErrorResponse(error);
  if (Json* messages = f.Find("messages")) {
    Json checked;
    if (!ParseMessages(*messages, &checked, &error) || !RenderChat(checked, add_generation_prompt, false, &ids, &error))
      return ErrorResponse(error);
  } else {
    const auto prompt = f.Text("prompt", http.body.size());
    if (!prompt && f.ok()) f.Fail("prompt", "is missing.");
    if (!f.ok()) return ErrorResponse(error);
    ids = EncodePrompt(*prompt, add_special);
  }
  std::string out =
      base::StrCat("{\"count\":", ids.size(), ",\"max_model_len\":", options_.context_length, ",\"tokens\":[");
  for (size_t i = 0; i < ids.size(); ++i) fmt::format_to(std::back_inserter(out), "{}{}", i ? "," : "", ids[i]);
  out += "],\"token_strs\":";
  if (!strings) return JsonAnswer(out + "null}");
  for (size_t i = 0; i < ids.size(); ++i)
    out += (i ? "," : "[") + Quoted(tokenizer_.Decode(std::span(&ids[i], 1), true));
  return JsonAnswer(out + (ids.empty() ? "[]}" : "]}"));
}

http::Response OpenAiFrontend::DetokenizeAnswer(const http::Request& http) const {
  Json body;
  ApiError error;
  if (!ParseBody(http.body, &body, &error)) return ErrorResponse(error);
  Fields f(body, &error);
  const std::string model = f.Text("model", 1024).value_or("");
  const Json* list = f.Find("tokens");
  if (!list || !list->is_array()) f.Fail("tokens", "must be an array of token ids.");
  if (!f.ok() || !KnowsModel(model, &error)) return ErrorResponse(error);
  std::vector<TokenId> ids;
  for (const Json& value : *list) {
    const auto id = AsInteger(value);
    if (!id || *id < 0 || *id >= tokenizer_.vocabulary()) {
      f.Fail("tokens", base::StrCat("must hold token ids below ", tokenizer_.vocabulary(), "; one of them is ",
                                    KindOf(value), "."));
      return ErrorResponse(error);
    }
    ids.push_back(static_cast<TokenId>(*id));
  }
  return JsonAnswer("{\"prompt\":" + Quoted(tokenizer_.Decode(ids, true)) + "}");
}

void OpenAiFrontend::Tokenize(http::Request http, Responder responder) {
  Aside(std::move(http), std::move(responder), [this](const http::Request& request) {
    return [response = TokenizeAnswer(request)](Responder to) { to->Send(response); };
  });
}

void OpenAiFrontend::Detokenize(http::Request http, Responder responder) {
  Aside(std::move(http), std::move(responder), [this](const http::Request& request) {
    return [response = DetokenizeAnswer(request)](Responder to) { to->Send(response); };
  });
}

void OpenAiFrontend::SetRole(const http::Request& http, Responder responder) {
  Json body;
  ApiError error;
  if (!ParseBody(http.body, &body, &error)) return responder->Send(ErrorResponse(error));
  Fields f(body, &error);
  const std::string wanted = f.Text("role", 64).value_or("");
  for (const WorkerRole role : {WorkerRole::kPrefill, WorkerRole::kDecode, WorkerRole::kMixed, WorkerRole::kParked}) {
    if (wanted != WorkerRoleName(role)) continue;
    return backend_.SetRole(http.captures[0], role, [responder, worker = http.captures[0], wanted](Status status) {
      responder->Post([=] {
        if (!status.ok()) return responder->Send(ErrorResponse(FromStatus(status)));
        responder->Send(JsonAnswer("{\"worker\":" + Quoted(worker) + ",\"role\":" + Quoted(wanted) + "}"));
      });
    });
  }
  f.Fail("role", "must be prefill, decode, mixed or parked.");
  responder->Send(ErrorResponse(error));
}

void OpenAiFrontend::RegisterSystem(http::Server& server) {
  const auto get = [&server](const char* path, std::function<http::Response(const http::Request&)> answer) {
    server.Route("GET", path,
                 [answer](http::Request request, Responder responder) { responder->Send(answer(request)); });
  };
  get("/v1/models",
      [this](const http::Request&) { return JsonAnswer("{\"object\":\"list\",\"data\":[" + ModelJson() + "]}"); });
  get("/v1/models/{id...}", [this](const http::Request& request) {
    ApiError error;
    return KnowsModel(request.captures[0], &error) ? JsonAnswer(ModelJson()) : ErrorResponse(error);
  });
  const http::Handler ready = [this](http::Request, Responder responder) {
    backend_.Ready([responder](Status status) {
      responder->Post([=] {
        responder->Send(status.ok() ? JsonAnswer("{\"status\":\"ready\"}")
                                    : ErrorResponse(FromStatus(absl::UnavailableError(status.message()))));
      });
    });
  };
  const http::Handler metrics = [this](http::Request, Responder responder) {
    backend_.Metrics([responder](std::string text) {
      responder->Post([responder, text = std::move(text)] {
        http::Response response = JsonAnswer(text);
        response.content_type = "text/plain; version=0.0.4; charset=utf-8";
        responder->Send(std::move(response));
      });
    });
  };
  for (const char* path : {"/health", "/ready"}) server.Route("GET", path, ready);
  for (const char* path : {"/metrics", "/prometheus/metrics"}) server.Route("GET", path, metrics);
  server.Route("GET", "/v1/cluster", [this](http::Request, Responder responder) {
    backend_.ClusterJson(
        [responder](std::string json) { responder->Post([=] { responder->Send(JsonAnswer(json)); }); });
  });
  get("/live", [](const http::Request&) { return JsonAnswer("{\"status\":\"live\"}"); });
  get("/version",
      [this](const http::Request&) { return JsonAnswer("{\"version\":" + Quoted(options_.version) + "}"); });
  get("/v1/config",
      [this](const http::Request&) { return JsonAnswer(options_.config_json ? options_.config_json() : "{}"); });
  server.Route("POST", "/v1/cluster/workers/{id}/role",
               [this](http::Request request, Responder responder) { SetRole(request, std::move(responder)); });
}

}  // namespace tokenworks::openai_http
