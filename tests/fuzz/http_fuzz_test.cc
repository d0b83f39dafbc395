// SPDX-License-Identifier: Apache-2.0
// Mutated HTTP requests from a seed: never a crash, every answer is an answer, and the server still serves.
#include <gtest/gtest.h>

#include <random>

#include "../unit/frontend/fake_backend.h"

namespace tokenworks::openai_http {
namespace {

const char* const kBodies[] = {
    R"({"model":"default","messages":[{"role":"user","content":"Hi é"},{"role":"assistant","content":[{"type":"text","text":"a"}]}],"n":2,"stop":["a","b"],"temperature":0.5})",
    R"({"messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{"include_usage":true},"logit_bias":{"5":-1.5},"logprobs":true,"top_logprobs":2,"tools":[]})",
    R"({"prompt":["a",[1,2,3]],"max_tokens":5,"seed":-7,"logprobs":1,"stop_token_ids":[4],"min_tokens":1,"echo":false,"suffix":null,"top_k":3})"};
const char* const kPieces[] = {"null", "-1", "1e308",  "[",       "]",       "{",    "}",
                               "\"",   ",",  ":",      "\\ud800", "\xff",    "\xC3", "99999999999999999999",
                               "true", "\\", "[[[[[[", "0.5",     "\"stop\""};

std::string Mutate(std::string text, std::mt19937_64& random) {
  for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
    const size_t at = random() % (text.size() + 1);
    switch (random() % 5) {
      case 0:
        text.insert(at, kPieces[random() % std::size(kPieces)]);
        break;
      case 1:
        text.erase(at, random() % 8);
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(random());
        break;
      case 3:
        text.insert(at, text.substr(random() % (text.size() + 1), random() % 40));
        break;
      case 4:
        text.resize(at);
        break;
    }
  }
  return text;
}

TEST(Fuzz, HttpRequests) {
  Service service;
  std::mt19937_64 random(7);
  for (int i = 0; i < 1'500; ++i) {
    const std::string request =
        http::Post(i % 2 ? "/v1/chat/completions" : "/v1/completions", kBodies[i % std::size(kBodies)]);
    http::RawClient client(service.server->port());
    client.Send(Mutate(request, random));
    client.HalfClose();
    const std::string answer = client.ReadAll();
    ASSERT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 ")) << answer.substr(0, 100);
  }
  EXPECT_TRUE(service.Ask(http::Post("/v1/chat/completions", kBodies[0])).starts_with("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace tokenworks::openai_http
