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

Json BodyOf(const std::string& answer) { return Json::parse(answer.substr(answer.find("\r\n\r\n") + 4)); }

TEST(Frontend, PassesParametersOn) {
  Service service;
  service.Ask(Post(
      kText,
      R"({"prompt":[1,2,3],"n":2,"seed":7,"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"presence_penalty":1,"frequency_penalty":-1,
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
  const std::vector<std::pair<std::string, std::string>> bad = {{"temperature", "-1"},
                                                                {"temperature", "\"hot\""},
                                                                {"temperature", "2.5"},
                                                                {"top_p", "0"},
                                                                {"top_p", "1.5"},
                                                                {"top_k", "-5"},
                                                                {"min_p", "2"},
                                                                {"n", "0"},
                                                                {"n", "65"},
                                                                {"n", "99999999999999999999"},
                                                                {"max_tokens", "0"},
                                                                {"max_tokens", "1.5"},
                                                                {"max_completion_tokens", "-1"},
                                                                {"seed", "1.5"},
                                                                {"stop", "5"},
                                                                {"stop", "[\"\"]"},
                                                                {"stop", "[1]"},
                                                                {"logit_bias", "{\"x\":1}"},
                                                                {"logit_bias", "{\"999\":1}"},
                                                                {"logit_bias", "{\"1\":101}"},
                                                                {"logit_bias", "[]"},
                                                                {"presence_penalty", "9"},
                                                                {"frequency_penalty", "-3"},
                                                                {"repetition_penalty", "0"},
                                                                {"min_tokens", "-1"},
                                                                {"stream", "\"yes\""},
                                                                {"stream_options", "1"},
                                                                {"ignore_eos", "1"},
                                                                {"stop_token_ids", "[300]"},
                                                                {"cache_salt", "5"},
                                                                {"model", "5"},
                                                                {"priority", "\"a\""},
                                                                {"return_token_ids", "0"}};
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
      {kChat, "tools", "[{\"type\":\"function\"}]"},
      {kChat, "tool_choice", "\"required\""},
      {kChat, "response_format", "{\"type\":\"json_object\"}"},
      {kChat, "functions", "[{}]"},
      {kChat, "audio", "{}"},
      {kChat, "top_logprobs", "3"},
      {kChat, "modalities", "[\"audio\"]"},
      {kText, "echo", "true"},
      {kText, "best_of", "2"},
      {kText, "suffix", "\"x\""},
      {kText, "logprobs", "21"},
      {kText, "prompt", "[]"},
      {kText, "prompt", "[[]]"},
      {kText, "prompt", "[300]"},
      {kText, "prompt", "[\"a\",1]"},
      {kText, "prompt", "\"\""},
      {kText, "structured_outputs", "{}"}};
  for (const auto& [path, name, value] : bad) {
    Json json = Json::parse(path == kChat ? Chat("") : Completion(""));
    json[name] = Json::parse(value);
    const std::string answer = service.Ask(Post(path, json.dump()));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << name << "=" << value;
    EXPECT_EQ(BodyOf(answer)["error"]["param"], name);
  }
  for (const char* fine : {",\"tools\":[]", ",\"tool_choice\":\"auto\"", ",\"response_format\":{\"type\":\"text\"}",
                           ",\"store\":true", ",\"metadata\":{}", ",\"made_up\":[1]"})
    EXPECT_THAT(service.Ask(Post(kChat, Chat(fine))), StartsWith("HTTP/1.1 200 ")) << fine;
}

TEST(Frontend, Messages) {
  Service service;
  const auto ask = [&](const std::string& messages) {
    return service.Ask(Post(kChat, "{\"messages\":" + messages + "}"));
  };
  for (const char* bad : {"[]", "\"hi\"", "[1]", "[{\"role\":\"user\"}]", "[{\"content\":\"x\"}]",
                          "[{\"role\":\"bot\",\"content\":\"x\"}]", "[{\"role\":\"user\",\"content\":5}]",
                          "[{\"role\":\"assistant\",\"content\":null}]", "[{\"role\":\"user\",\"content\":[1]}]",
                          "[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]"})
    EXPECT_THAT(ask(bad), StartsWith("HTTP/1.1 400 ")) << bad;
  const std::string image =
      ask(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}}]}])");
  EXPECT_EQ(BodyOf(image)["error"]["param"], "messages[0].content[1]");
  EXPECT_THAT(image, HasSubstr("image_url"));
  EXPECT_THAT(
      ask(R"([{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":null,"tool_calls":[{"id":"1"}]},{"role":"tool","content":"4"}])"),
      StartsWith("HTTP/1.1 200 "));
}

TEST(Frontend, HostileBodies) {
  Service service;
  const std::string deep = "{\"messages\":" + std::string(100000, '[') + std::string(100000, ']') + "}";
  for (const std::string& body :
       {std::string(), std::string("{\"model\": \"default\", \"messages\": ["), std::string("[1,2]"), std::string("5"),
        Chat(",\"temperature\":NaN"), Chat(",\"temperature\":1e999"), std::string("{\"prompt\":\"\xff\xfe\"}"),
        std::string("{\"prompt\":\"\\ud800\"}"), deep, std::string("{\"a\":1}{\"b\":2}"), std::string(5, '\0')}) {
    const std::string answer = service.Ask(Post(kChat, body));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << body.substr(0, 80);
    EXPECT_EQ(BodyOf(answer)["error"].size(), 4u);
  }
  EXPECT_THAT(service.Ask(Post(kChat, std::string(9 << 20, 'a'))), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(service.Ask(Get(kChat)), StartsWith("HTTP/1.1 405 "));
  EXPECT_EQ(BodyOf(service.Ask(Get("/v1/nothing")))["error"]["type"], "not_found_error");
}

TEST(Frontend, BodiesThatWouldTakeLongAreRefusedBeforeTheyAreBuilt) {
  Service service;
  const auto with_keys = [](int keys) {
    std::string more;
    for (int i = 0; i < keys; ++i) more += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":1";
    return more;
  };
  EXPECT_THAT(service.Ask(Post(kText, Completion(",\"zz\":{" + with_keys(kMaxKeys) + "}"))),
              StartsWith("HTTP/1.1 200 "));
  const std::string wide = service.Ask(Post(kText, Completion(",\"zz\":{" + with_keys(kMaxKeys + 1) + "}")));
  EXPECT_THAT(wide, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(wide, HasSubstr("has an object of more than 2048 keys"));
  std::string many;
  for (int i = 0; i < kMaxKeysOfBody / 2; ++i) many += (i ? ",{\"a\":1,\"b\":2}" : "{\"a\":1,\"b\":2}");
  EXPECT_THAT(service.Ask(Post(kText, Completion(",\"zz\":[" + many + "]"))), HasSubstr("has more than 65536 keys"));
  const std::string hopeless = service.Ask(Post(kText, "{\"prompt\":\"" + std::string(1 << 20, 'a') + "\"}"));
  EXPECT_THAT(hopeless, StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(BodyOf(hopeless)["error"]["code"], "context_length_exceeded");
  EXPECT_THAT(hopeless, HasSubstr("resulted in at least "));
}

TEST(Frontend, AssistantTurnsWithToolCallsAloneAreHistory) {
  Service service;
  EXPECT_THAT(service.Ask(Post(kChat, R"({"messages":[{"role":"user","content":"Hi"},
      {"role":"assistant","content":null,"tool_calls":[{"id":"1"}]},{"role":"user","content":"and?"}]})")),
              StartsWith("HTTP/1.1 200 "));
}

TEST(Frontend, ErrorsAreValidJsonWhateverTheyQuote) {
  Service service;
  EXPECT_THAT(BodyOf(service.Ask(Get("/%ff%22%0a")))["error"]["message"].get<std::string>(),
              HasSubstr("\xEF\xBF\xBD\"\n"));
  std::string name;
  for (int i = 0; i < 100; ++i) name += "\xE2\x82\xAC";
  EXPECT_EQ(BodyOf(service.Ask(Post(kText, Completion(",\"model\":\"" + name + "\""))))["error"]["param"], "model");
}

TEST(Frontend, ModelNamesAndContext) {
  Service service;
  for (const char* name : {"tiny", "small", "default"})
    EXPECT_THAT(service.Ask(Post(kText, Completion(",\"model\":\"" + std::string(name) + "\""))),
                StartsWith("HTTP/1.1 200 "));
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
  for (const char* path :
       {"/live", "/health", "/ready", "/metrics", "/prometheus/metrics", "/version", "/v1/cluster", "/v1/config"})
    EXPECT_THAT(service.Ask(Get(path)), StartsWith("HTTP/1.1 200 ")) << path;
  service.backend.ready = absl::UnavailableError("The decode pool has no worker.");
  EXPECT_THAT(service.Ask(Get("/health")),
              testing::AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After"), HasSubstr("decode pool")));
  EXPECT_THAT(service.Ask(Post("/v1/cluster/workers/decode-0/role", "{\"role\":\"mixed\"}")),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(service.Ask(Post("/v1/cluster/workers/decode-9/role", "{\"role\":\"mixed\"}")),
              StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(service.Ask(Post("/v1/cluster/workers/decode-0/role", "{\"role\":\"cook\"}")),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(BodyOf(service.Ask(Post("/tokenize", "{\"prompt\":\"ab\",\"return_token_strs\":true}"))),
            Json::parse(R"({"count":2,"max_model_len":512,"tokens":[97,98],"token_strs":["a","b"]})"));
  EXPECT_EQ(BodyOf(service.Ask(Post("/tokenize", Chat(""))))["tokens"][0], 256);
  EXPECT_EQ(BodyOf(service.Ask(Post("/detokenize", "{\"tokens\":[97,257]}")))["prompt"], "a<|im_end|>");
}

TEST(Frontend, RequestIds) {
  Service service;
  EXPECT_THAT(service.Ask(Post(kChat, Chat(""), "X-Request-ID: mine-1\r\n")), HasSubstr("x-request-id: mine-1\r\n"));
  EXPECT_THAT(service.Ask(Post(kChat, Chat(""), "X-Request-ID: \"<bad>\"\r\n")), Not(HasSubstr("bad")));
}

}  // namespace
}  // namespace tokenworks::openai_http
