// SPDX-License-Identifier: Apache-2.0
// A chat or text completion as the client asked for it, checked.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "frontend/openai_http/api_error.h"
#include "tokenworks/ids.h"
#include "tokenworks/sampling_params.h"

namespace tokenworks::openai_http {

using Json = nlohmann::ordered_json;

inline constexpr size_t kMaxMessages = 4096;
inline constexpr size_t kMaxPrompts = 64;
inline constexpr int kMaxDepth = 64;
// Objects keep their order in lists, which are searched for every key that is added.
inline constexpr int kMaxKeys = 2048;         // of one object
inline constexpr int kMaxKeysOfBody = 65536;  // of all objects

struct Limits {
  int vocabulary = 0;
};

struct CompletionRequest {
  bool chat = false;
  std::string model;                                                     // empty = not given
  Json messages;                                                         // chat: contents are strings or null
  std::vector<std::variant<std::string, std::vector<TokenId>>> prompts;  // text completion
  uint32_t n = 1;
  bool stream = false, include_usage = false, continuous_usage = false;
  bool return_token_ids = false;
  std::optional<int> max_tokens;
  std::optional<uint64_t> seed;
  std::vector<std::string> stops;
  bool include_stop = false;
  std::string cache_salt;
  int priority = 0;
  SamplingParams sampling;  // max_tokens and seed not set yet
};

// The body as JSON: an object of bounded depth. Errors name the byte, never the contents.
bool ParseBody(const std::string& body, Json* json, ApiError* error);
bool ParseChat(Json& body, const Limits& limits, CompletionRequest* request, ApiError* error);
bool ParseCompletion(Json& body, const Limits& limits, CompletionRequest* request, ApiError* error);
// `messages` of chat and tokenize: roles checked, text parts joined.
bool ParseMessages(Json& messages, Json* out, ApiError* error);

}  // namespace tokenworks::openai_http
