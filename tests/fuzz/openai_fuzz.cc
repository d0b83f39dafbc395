// SPDX-License-Identifier: Apache-2.0
// Bodies of completion calls: parsed, or refused with an error that is itself JSON in OpenAI's shape.
#include <nlohmann/json.hpp>

#include "frontend/openai_http/api_error.h"
#include "frontend/openai_http/completion_request.h"
#include "fuzz_target.h"

using namespace tokenworks::openai_http;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  for (const bool chat : {true, false}) {
    Json json;
    ApiError error;
    CompletionRequest request;
    const bool fine = ParseBody(body, &json, &error) && (chat ? ParseChat(json, {258}, &request, &error)
                                                              : ParseCompletion(json, {258}, &request, &error));
    if (fine) continue;
    FUZZ_EXPECT(error.status >= 400 && error.status < 500 && !error.message.empty());
    const auto shaped = nlohmann::json::parse(ErrorJson(error), nullptr, false);
    FUZZ_EXPECT(shaped.is_object() && shaped["error"].contains("message") && shaped["error"].contains("type") &&
                shaped["error"].contains("param") && shaped["error"].contains("code"));
  }
  return 0;
}

std::vector<std::string> Seeds() {
  return {
      R"({"model":"default","messages":[{"role":"user","content":"Hi é"},{"role":"assistant","content":[{"type":"text","text":"a"}]}],"n":2,"stop":["a","b"],"temperature":0.5})",
      R"({"messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{"include_usage":true},"logit_bias":{"5":-1.5},"logprobs":true,"top_logprobs":2,"tools":[]})",
      R"({"prompt":["a",[1,2,3]],"max_tokens":5,"seed":-7,"logprobs":1,"stop_token_ids":[4],"min_tokens":1,"echo":false,"suffix":null,"top_k":3})"};
}
