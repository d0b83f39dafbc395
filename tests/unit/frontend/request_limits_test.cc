// SPDX-License-Identifier: Apache-2.0
// HTTP and gRPC accept and refuse the same values.
#include <gtest/gtest.h>

#include <cmath>

#include "frontend/grpc/generate_request.h"
#include "frontend/openai_http/completion_request.h"

namespace tokenworks {
namespace {

constexpr int kVocabulary = 258;

std::unique_ptr<text::Tokenizer> ByteTokenizer() {
  text::TokenizerData data;
  for (int i = 0; i < kVocabulary; ++i) data.tokens.push_back("t" + std::to_string(i));
  data.special.assign(data.tokens.size(), false);
  data.pre_tokenizer = "smollm";
  auto made = text::Tokenizer::Create(std::move(data));
  EXPECT_TRUE(made.ok()) << made.status();
  return std::move(*made);
}

bool HttpTakes(const std::string& field, const nlohmann::json& value) {
  openai_http::Json json;
  openai_http::ApiError error;
  openai_http::CompletionRequest request;
  const std::string body = nlohmann::json{{"prompt", {1, 2}}, {field, value}}.dump();
  const bool fine = openai_http::ParseBody(body, &json, &error) &&
                    openai_http::ParseCompletion(json, {kVocabulary}, &request, &error);
  if (!fine) {
    EXPECT_EQ(error.status, 400);
    EXPECT_NE(error.message.find("`" + field), std::string::npos) << error.message;
  }
  return fine;
}

bool GrpcTakes(const std::string& field, const std::function<void(v1::GenerateRequest&)>& set) {
  static const auto tokenizer = ByteTokenizer();
  v1::GenerateRequest in;
  in.mutable_tokens()->add_ids(1);
  set(in);
  const auto checked = grpc_frontend::Check(in, *tokenizer);
  if (!checked.ok()) {
    EXPECT_EQ(checked.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(checked.status().message()).find("`" + field + "`"), std::string::npos) << checked.status();
  }
  return checked.ok();
}

TEST(RequestLimits, NumbersAreTakenAlike) {
  struct Field {
    const char* name;
    void (*set)(v1::Sampling&, double);
    std::vector<double> good, bad;
  };
  const Field fields[] = {
      {"temperature",
       [](v1::Sampling& s, double v) { s.set_temperature(static_cast<float>(v)); },
       {0, 1, 2},
       {-0.01, 2.01, 1e30}},
      {"top_p", [](v1::Sampling& s, double v) { s.set_top_p(static_cast<float>(v)); }, {0.001, 1}, {0, -1, 1.01}},
      {"min_p", [](v1::Sampling& s, double v) { s.set_min_p(static_cast<float>(v)); }, {0, 1}, {-0.01, 1.01}},
      {"repetition_penalty",
       [](v1::Sampling& s, double v) { s.set_repetition_penalty(static_cast<float>(v)); },
       {0.1, 10},
       {0, -1, 10.1}},
      {"frequency_penalty",
       [](v1::Sampling& s, double v) { s.set_frequency_penalty(static_cast<float>(v)); },
       {-2, 2},
       {-2.1, 2.1}},
      {"presence_penalty",
       [](v1::Sampling& s, double v) { s.set_presence_penalty(static_cast<float>(v)); },
       {-2, 2},
       {-2.1, 2.1}},
      {"top_k", [](v1::Sampling& s, double v) { s.set_top_k(static_cast<int>(v)); }, {-1, 0, 1000000}, {-2}},
      {"max_tokens", [](v1::Sampling& s, double v) { s.set_max_tokens(static_cast<int>(v)); }, {1, 1000000}, {0, -1}},
      {"min_tokens", [](v1::Sampling& s, double v) { s.set_min_tokens(static_cast<int>(v)); }, {0, 1000}, {-1}},
  };
  for (const Field& f : fields) {
    const auto grpc = [&](double v) {
      return GrpcTakes(f.name, [&](v1::GenerateRequest& in) { f.set(*in.mutable_sampling(), v); });
    };
    for (const double v : f.good) EXPECT_TRUE(HttpTakes(f.name, v) && grpc(v)) << f.name << " " << v;
    for (const double v : f.bad) EXPECT_FALSE(HttpTakes(f.name, v) || grpc(v)) << f.name << " " << v;
    if (std::string(f.name).find("top_k") == std::string::npos &&
        std::string(f.name).find("tokens") == std::string::npos) {
      EXPECT_FALSE(grpc(std::nan(""))) << f.name;
    }
  }
}

TEST(RequestLimits, ListsAndTextsAreTakenAlike) {
  const auto stops = [](int n, size_t bytes) {
    const std::vector<std::string> list(static_cast<size_t>(n), std::string(bytes, 'x'));
    return std::pair(HttpTakes("stop", list), GrpcTakes("stop", [&](v1::GenerateRequest& in) {
                       for (const auto& s : list) in.add_stop(s);
                     }));
  };
  EXPECT_EQ(stops(16, 1024), std::pair(true, true));
  EXPECT_EQ(stops(17, 1), std::pair(false, false));
  EXPECT_EQ(stops(1, 1025), std::pair(false, false));
  EXPECT_EQ(stops(1, 0), std::pair(false, false));
  const auto choices = [](int n) {
    return std::pair(HttpTakes("n", n),
                     GrpcTakes("n", [&](v1::GenerateRequest& in) { in.set_n(static_cast<uint32_t>(n)); }));
  };
  EXPECT_EQ(choices(64), std::pair(true, true));
  EXPECT_EQ(choices(65), std::pair(false, false));
  const auto salt = [](size_t n) {
    return std::pair(HttpTakes("cache_salt", std::string(n, 's')),
                     GrpcTakes("cache_salt", [&](v1::GenerateRequest& in) { in.set_cache_salt(std::string(n, 's')); }));
  };
  EXPECT_EQ(salt(256), std::pair(true, true));
  EXPECT_EQ(salt(257), std::pair(false, false));
  const auto ids = [](int n, int id) {
    const std::vector<int> list(static_cast<size_t>(n), id);
    return std::pair(HttpTakes("stop_token_ids", list), GrpcTakes("stop_token_ids", [&](v1::GenerateRequest& in) {
                       for (const int i : list) in.mutable_sampling()->add_stop_token_ids(i);
                     }));
  };
  EXPECT_EQ(ids(256, kVocabulary - 1), std::pair(true, true));
  EXPECT_EQ(ids(257, 1), std::pair(false, false));
  EXPECT_EQ(ids(1, kVocabulary), std::pair(false, false));
  EXPECT_EQ(ids(1, -1), std::pair(false, false));
  const auto bias = [](int id, double v) {
    return std::pair(HttpTakes("logit_bias", nlohmann::json{{std::to_string(id), v}}),
                     GrpcTakes("logit_bias", [&](v1::GenerateRequest& in) {
                       (*in.mutable_sampling()->mutable_logit_bias())[id] = static_cast<float>(v);
                     }));
  };
  EXPECT_EQ(bias(5, -100), std::pair(true, true));
  EXPECT_EQ(bias(5, 101), std::pair(false, false));
  EXPECT_EQ(bias(kVocabulary, 1), std::pair(false, false));
}

}  // namespace
}  // namespace tokenworks
