// SPDX-License-Identifier: Apache-2.0
#include "frontend/openai_http/frontend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_backend.h"

namespace tokenworks::openai_http {
namespace {

using http::Get;
using http::Post;
using http::RawClient;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const char kChat[] = "/v1/chat/completions";
const char kText[] = "/v1/completions";

Json BodyOf(const std::string& answer) { return Json::parse(answer.substr(answer.find("\r\n\r\n") + 4)); }
std::string Chat(const std::string& more) { return "{\"model\":\"default\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]" + more + "}"; }
std::string Completion(const std::string& more) { return "{\"prompt\":\"abc\"" + more + "}"; }

TEST(Frontend, PassesParametersOn) {
  Service service;
  service.Ask(Post(kText, R"({"prompt":[1,2,3],"n":2,"seed":7,"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"presence_penalty":1,"frequency_penalty":-1,
    "repetition_penalty":1.5,"logit_bias":{"5":-100},"min_tokens":2,"max_tokens":9,"ignore_eos":true,"stop_token_ids":[4],"logprobs":3,"cache_salt":"s","priority":-2,"user":"u"})"));
  const GenerationRequest r = service.backend.WaitForRequest().request;
  EXPECT_EQ(r.prompt, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(r.n, 2u);
  EXPECT_EQ(r.sampling.seed, 7u);
  EXPECT_FLOAT_EQ(r.sampling.temperature, 0.5f);
  EXPECT_FLOAT_EQ(r.sampling.top_p, 0.9f);
  EXPECT_EQ(r.sampling.top_k, 40);
  EXPECT_FLOAT_EQ(r.sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(r.sampling.presence_penalty, 1);
  EXPECT_FLOAT_EQ(r.sampling.frequency_penalty, -1);
  EXPECT_FLOAT_EQ(r.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(r.sampling.logit_bias, (std::vector<std::pair<TokenId, float>>{{5, -100.0f}}));
  EXPECT_EQ(r.sampling.min_tokens, 2);
  EXPECT_EQ(r.sampling.max_tokens, 9);
  EXPECT_TRUE(r.sampling.ignore_eos);
  EXPECT_EQ(r.sampling.stop_token_ids, std::vector<TokenId>{4});
  EXPECT_EQ(r.sampling.logprobs, 3);
  EXPECT_EQ(r.cache_salt, "s");
  EXPECT_EQ(r.priority, -2);
}

TEST(Frontend, DefaultsAndBothNamesOfTheLimit) {
  Service service;
  service.Ask(Post(kText, Completion("")));
  service.Ask(Post(kChat, Chat("")));
  service.Ask(Post(kChat, Chat(",\"max_completion_tokens\":3")));
  service.Ask(Post(kChat, Chat(",\"max_tokens\":4,\"temperature\":null,\"stop\":null,\"n\":null")));
  service.Ask(Post(kText, Completion(",\"max_tokens\":100000")));
  EXPECT_EQ(service.backend.WaitForRequest(0).request.sampling.max_tokens, 16);
  const GenerationRequest chat = service.backend.WaitForRequest(1).request;
  EXPECT_EQ(chat.sampling.max_tokens, 512 - static_cast<int>(chat.prompt.size()));
  EXPECT_EQ(chat.prompt.front(), 256);
  EXPECT_EQ(service.backend.WaitForRequest(2).request.sampling.max_tokens, 3);
  EXPECT_EQ(service.backend.WaitForRequest(3).request.sampling.max_tokens, 4);
  EXPECT_EQ(service.backend.WaitForRequest(4).request.sampling.max_tokens, 509);
}

TEST(Frontend, RefusesBadParametersByName) {
  Service service;
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"temperature", "-1"}, {"temperature", "\"hot\""}, {"temperature", "2.5"}, {"top_p", "0"}, {"top_p", "1.5"}, {"top_k", "-5"}, {"min_p", "2"}, {"n", "0"}, {"n", "65"},
      {"n", "99999999999999999999"}, {"max_tokens", "0"}, {"max_tokens", "1.5"}, {"max_completion_tokens", "-1"}, {"seed", "1.5"}, {"stop", "5"}, {"stop", "[\"\"]"},
      {"stop", "[1]"}, {"logit_bias", "{\"x\":1}"}, {"logit_bias", "{\"999\":1}"}, {"logit_bias", "{\"1\":101}"}, {"logit_bias", "[]"}, {"presence_penalty", "9"},
      {"frequency_penalty", "-3"}, {"repetition_penalty", "0"}, {"min_tokens", "-1"}, {"stream", "\"yes\""}, {"stream_options", "1"}, {"ignore_eos", "1"},
      {"stop_token_ids", "[300]"}, {"cache_salt", "5"}, {"model", "5"}, {"priority", "\"a\""}, {"return_token_ids", "0"}};
  for (const auto& [name, value] : bad) {
    for (const auto& [path, body] : {std::pair(kChat, Chat("")), std::pair(kText, Completion(",\"x\":0"))}) {
      Json json = Json::parse(body);
      json[name] = Json::parse(value);
      const std::string answer = service.Ask(Post(path, json.dump()));
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << name << "=" << value;
      const Json error = BodyOf(answer)["error"];
      EXPECT_EQ(error["param"], name) << error;
      EXPECT_EQ(error["type"], "invalid_request_error");
      EXPECT_TRUE(error.contains("code"));
    }
  }
}

TEST(Frontend, RefusesWhatIsNotBuilt) {
  Service service;
  const std::vector<std::tuple<const char*, std::string, std::string>> bad = {
      {kChat, "tools", "[{\"type\":\"function\"}]"}, {kChat, "tool_choice", "\"required\""}, {kChat, "response_format", "{\"type\":\"json_object\"}"},
      {kChat, "functions", "[{}]"}, {kChat, "audio", "{}"}, {kChat, "top_logprobs", "3"}, {kChat, "modalities", "[\"audio\"]"}, {kText, "echo", "true"},
      {kText, "best_of", "2"}, {kText, "suffix", "\"x\""}, {kText, "logprobs", "21"}, {kText, "prompt", "[]"}, {kText, "prompt", "[[]]"},
      {kText, "prompt", "[300]"}, {kText, "prompt", "[\"a\",1]"}, {kText, "prompt", "\"\""}, {kText, "structured_outputs", "{}"}};
  for (const auto& [path, name, value] : bad) {
    Json json = Json::parse(path == kChat ? Chat("") : Completion(""));
    json[name] = Json::parse(value);
    const std::string answer = service.Ask(Post(path, json.dump()));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << name << "=" << value;
    EXPECT_EQ(BodyOf(answer)["error"]["param"], name);
  }
  for (const char* fine : {",\"tools\":[]", ",\"tool_choice\":\"auto\"", ",\"response_format\":{\"type\":\"text\"}", ",\"store\":true", ",\"metadata\":{}", ",\"made_up\":[1]"})
    EXPECT_THAT(service.Ask(Post(kChat, Chat(fine))), StartsWith("HTTP/1.1 200 ")) << fine;
}

TEST(Frontend, Messages) {
  Service service;
  const auto ask = [&](const std::string& messages) { return service.Ask(Post(kChat, "{\"messages\":" + messages + "}")); };
  for (const char* bad : {"[]", "\"hi\"", "[1]", "[{\"role\":\"user\"}]", "[{\"content\":\"x\"}]", "[{\"role\":\"bot\",\"content\":\"x\"}]", "[{\"role\":\"user\",\"content\":5}]",
                          "[{\"role\":\"assistant\",\"content\":null}]", "[{\"role\":\"user\",\"content\":[1]}]", "[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]"})
    EXPECT_THAT(ask(bad), StartsWith("HTTP/1.1 400 ")) << bad;
  const std::string image = ask(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}}]}])");
  EXPECT_EQ(BodyOf(image)["error"]["param"], "messages[0].content[1]");
  EXPECT_THAT(image, HasSubstr("image_url"));
  EXPECT_THAT(ask(R"([{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"1"}]},{"role":"tool","content":"4"}])"), StartsWith("HTTP/1.1 200 "));
}

TEST(Frontend, HostileBodies) {
  Service service;
  const std::string deep = "{\"messages\":" + std::string(100000, '[') + std::string(100000, ']') + "}";
  for (const std::string& body : {std::string(), std::string("{\"model\": \"default\", \"messages\": ["), std::string("[1,2]"), std::string("5"), Chat(",\"temperature\":NaN"),
                                  Chat(",\"temperature\":1e999"), std::string("{\"prompt\":\"\xff\xfe\"}"), std::string("{\"prompt\":\"\\ud800\"}"), deep, std::string("{\"a\":1}{\"b\":2}"), std::string(5, '\0')}) {
    const std::string answer = service.Ask(Post(kChat, body));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << body.substr(0, 80);
    EXPECT_EQ(BodyOf(answer)["error"].size(), 4u);
  }
  EXPECT_THAT(service.Ask(Post(kChat, std::string(9 << 20, 'a'))), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(service.Ask(Get(kChat)), StartsWith("HTTP/1.1 405 "));
  EXPECT_EQ(BodyOf(service.Ask(Get("/v1/nothing")))["error"]["type"], "not_found_error");
}

TEST(Frontend, ErrorsAreValidJsonWhateverTheyQuote) {
  Service service;
  EXPECT_THAT(BodyOf(service.Ask(Get("/%ff%22%0a")))["error"]["message"].get<std::string>(), HasSubstr("\xEF\xBF\xBD\"\n"));
  std::string name;
  for (int i = 0; i < 100; ++i) name += "\xE2\x82\xAC";
  EXPECT_EQ(BodyOf(service.Ask(Post(kText, Completion(",\"model\":\"" + name + "\""))))["error"]["param"], "model");
}

TEST(Frontend, ModelNamesAndContext) {
  Service service;
  for (const char* name : {"tiny", "small", "default"}) EXPECT_THAT(service.Ask(Post(kText, Completion(",\"model\":\"" + std::string(name) + "\""))), StartsWith("HTTP/1.1 200 "));
  const std::string unknown = service.Ask(Post(kText, Completion(",\"model\":\"gpt-9\"")));
  EXPECT_THAT(unknown, StartsWith("HTTP/1.1 404 "));
  EXPECT_EQ(BodyOf(unknown)["error"]["code"], "model_not_found");
  const std::string long_prompt = service.Ask(Post(kText, "{\"prompt\":\"" + std::string(512, 'a') + "\"}"));
  EXPECT_THAT(long_prompt, StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(BodyOf(long_prompt)["error"]["code"], "context_length_exceeded");
}

TEST(Frontend, SystemRoutes) {
  Service service;
  EXPECT_EQ(BodyOf(service.Ask(Get("/v1/models")))["data"][0]["id"], "tiny");
  EXPECT_EQ(BodyOf(service.Ask(Get("/v1/models/small")))["id"], "tiny");
  EXPECT_THAT(service.Ask(Get("/v1/models/org/other")), StartsWith("HTTP/1.1 404 "));
  for (const char* path : {"/live", "/health", "/ready", "/metrics", "/prometheus/metrics", "/version", "/v1/cluster", "/v1/config"})
    EXPECT_THAT(service.Ask(Get(path)), StartsWith("HTTP/1.1 200 ")) << path;
  service.backend.ready = absl::UnavailableError("The decode pool has no worker.");
  EXPECT_THAT(service.Ask(Get("/health")), testing::AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After"), HasSubstr("decode pool")));
  EXPECT_THAT(service.Ask(Post("/v1/cluster/workers/decode-0/role", "{\"role\":\"mixed\"}")), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(service.Ask(Post("/v1/cluster/workers/decode-9/role", "{\"role\":\"mixed\"}")), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(service.Ask(Post("/v1/cluster/workers/decode-0/role", "{\"role\":\"cook\"}")), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(BodyOf(service.Ask(Post("/tokenize", "{\"prompt\":\"ab\",\"return_token_strs\":true}"))),
            Json::parse(R"({"count":2,"max_model_len":512,"tokens":[97,98],"token_strs":["a","b"]})"));
  EXPECT_EQ(BodyOf(service.Ask(Post("/tokenize", Chat(""))))["tokens"][0], 256);
  EXPECT_EQ(BodyOf(service.Ask(Post("/detokenize", "{\"tokens\":[97,257]}")))["prompt"], "a<|im_end|>");
}

TEST(Frontend, RefusalsOfTheBackendArePlainAnswers) {
  for (const auto& [status, line] : {std::pair(absl::ResourceExhaustedError("The queue is full."), "HTTP/1.1 429 "), std::pair(absl::UnavailableError("No decode worker."), "HTTP/1.1 503 "),
                                     std::pair(absl::DeadlineExceededError("Too late."), "HTTP/1.1 504 "), std::pair(absl::InternalError("Broken."), "HTTP/1.1 500 ")}) {
    Service service([status = status](FakeBackend::Submitted s) { s.sink->OnEnd({.status = status, .retry_after_s = 2.5}); });
    const std::string answer = service.Ask(Post(kChat, Chat(",\"stream\":true")));
    EXPECT_THAT(answer, StartsWith(line));
    EXPECT_EQ(answer.find("Retry-After: 3") != std::string::npos, status.code() == StatusCode::kResourceExhausted || status.code() == StatusCode::kUnavailable);
    EXPECT_THAT(answer, HasSubstr("x-request-id: "));
  }
}

TEST(Frontend, AStreamThatFailsSaysSo) {
  Service service([](FakeBackend::Submitted) {});
  RawClient client(service.server->port());
  client.Send(Post(kChat, Chat(",\"stream\":true")));
  const auto request = service.backend.WaitForRequest();
  request.sink->OnTokens(Delta(0, 0, "a"));
  client.ReadUntil("\"content\":\"a\"}");
  request.sink->OnEnd({.status = absl::UnavailableError("The decode worker is lost.")});
  const std::string rest = client.ReadUntil("\r\n0\r\n\r\n");
  EXPECT_THAT(rest, HasSubstr("data: {\"error\":{\"message\":\"The decode worker is lost.\""));
  EXPECT_THAT(rest, Not(HasSubstr("[DONE]")));
  EXPECT_THAT(rest, Not(HasSubstr("\"finish_reason\":\"")));
}

TEST(Frontend, AnEndWithoutAllSequencesIsAFailure) {
  Service service([](FakeBackend::Submitted s) {
    s.sink->OnTokens(Delta(0, 0, "a", FinishReason::kLength));
    s.sink->OnEnd(Summary());
  });
  EXPECT_THAT(service.Ask(Post(kChat, Chat(",\"n\":2"))), StartsWith("HTTP/1.1 500 "));
}

TEST(Frontend, StopStringsEndTheStreamBeforeTheWorkerDoes) {
  Service service([](FakeBackend::Submitted s) {
    s.sink->OnTokens(Delta(0, 0, "one tw"));
    s.sink->OnTokens(Delta(0, 6, "o three"));
  });
  const std::string answer = service.Ask(Post(kText, Completion(",\"stop\":[\"two\"],\"stream\":true,\"max_tokens\":50,\"stream_options\":{\"include_usage\":true}")));
  EXPECT_THAT(answer, HasSubstr("\"text\":\"one \""));
  EXPECT_THAT(answer, Not(HasSubstr("three")));
  EXPECT_THAT(answer, HasSubstr("\"finish_reason\":\"stop\""));
  EXPECT_THAT(answer, HasSubstr("\"completion_tokens\":7"));
  EXPECT_THAT(answer, HasSubstr("[DONE]"));
  const auto cancels = service.backend.WaitForCancels(1);
  ASSERT_EQ(cancels.size(), 1u);
  EXPECT_EQ(cancels[0].sequence, 0u);
  EXPECT_EQ(cancels[0].reason, CancelReason::kStopString);
  EXPECT_EQ(cancels[0].kept, 7u);
}

TEST(Frontend, AClientThatLeavesCancels) {
  for (const char* stream : {"true", "false"}) {
    Service service([](FakeBackend::Submitted) {});
    RawClient client(service.server->port());
    client.Send(Post(kChat, Chat(",\"stream\":" + std::string(stream))));
    const RequestId id = service.backend.WaitForRequest().id;
    client.Close();
    const auto cancels = service.backend.WaitForCancels(1);
    ASSERT_EQ(cancels.size(), 1u);
    EXPECT_EQ(cancels[0].id, id);
    EXPECT_EQ(cancels[0].sequence, std::nullopt);
    EXPECT_EQ(cancels[0].reason, CancelReason::kClientGone);
  }
}

TEST(Frontend, LeavingAfterDoneIsNoCancel) {
  Service service;
  for (int i = 0; i < 20; ++i) {
    RawClient client(service.server->port());
    client.Send(Post(kChat, Chat(",\"stream\":true")));
    EXPECT_THAT(client.ReadUntil("[DONE]"), EndsWith("[DONE]"));
    client.Close();
  }
  service.Ask(Get("/live"));
  service.server->Shutdown(std::chrono::seconds(5));
  EXPECT_TRUE(service.backend.WaitForCancels(0).empty());
}

TEST(Frontend, TokensLeaveAsTheyCome) {
  Service service([](FakeBackend::Submitted) {});
  RawClient client(service.server->port());
  client.Send(Post(kChat, Chat(",\"stream\":true")));
  const auto request = service.backend.WaitForRequest();
  request.sink->OnTokens(Delta(0, 0, "a"));
  EXPECT_THAT(client.ReadUntil("\"content\":\"a\"}"), HasSubstr("\"role\":\"assistant\""));
  request.sink->OnTokens(Delta(0, 1, "b", FinishReason::kLength));
  client.ReadUntil("\"content\":\"b\"}");
  request.sink->OnEnd(Summary());
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), testing::AllOf(HasSubstr("\"finish_reason\":\"length\""), HasSubstr("\"timings\":{\"path\":\"disaggregated\""), HasSubstr("[DONE]")));
}

TEST(Frontend, RequestIds) {
  Service service;
  EXPECT_THAT(service.Ask(Post(kChat, Chat(""), "X-Request-ID: mine-1\r\n")), HasSubstr("x-request-id: mine-1\r\n"));
  EXPECT_THAT(service.Ask(Post(kChat, Chat(""), "X-Request-ID: \"<bad>\"\r\n")), Not(HasSubstr("bad")));
}

}  // namespace
}  // namespace tokenworks::openai_http
