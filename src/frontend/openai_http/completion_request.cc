// SPDX-License-Identifier: Apache-2.0
#include "frontend/openai_http/completion_request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "frontend/openai_http/fields.h"
#include "frontend/request_limits.h"
#include "platform/base/str_cat.h"

namespace tokenworks::openai_http {
namespace {

using namespace request_limits;  // of every dialect

// What is wrong with the body's shape, found before any of it is built; empty when nothing is. Text that is not JSON is
// the parser's to refuse.
std::string WrongShape(std::string_view body) {
  std::array<int, kMaxDepth + 1> keys{};  // of the object open at each depth
  int depth = 0, all_keys = 0;
  bool in_string = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return base::StrCat("is nested deeper than ", kMaxDepth, " levels.");
      keys[depth] = 0;
    } else if (c == ']' || c == '}') {
      depth = std::max(0, depth - 1);
    } else if (c == ':') {
      if (++keys[depth] > kMaxKeys) return base::StrCat("has an object of more than ", kMaxKeys, " keys.");
      if (++all_keys > kMaxKeysOfBody) return base::StrCat("has more than ", kMaxKeysOfBody, " keys.");
    }
  }
  return {};
}

void ParseStops(Fields& f, CompletionRequest* r) {
  const Json* stop = f.Find("stop");
  if (!stop) return;
  const Json list = stop->is_string() ? Json::array({*stop}) : *stop;
  if (!list.is_array() || list.size() > kMaxStops)
    return f.Fail("stop", base::StrCat("must be a string or at most ", kMaxStops, " strings."));
  for (const Json& s : list) {
    if (!s.is_string() || s.get_ref<const std::string&>().empty() ||
        s.get_ref<const std::string&>().size() > kMaxStopBytes)
      return f.Fail("stop", base::StrCat("must hold strings of 1 to ", kMaxStopBytes, " bytes; one of them is not."));
    r->stops.push_back(s.get<std::string>());
  }
}

std::optional<TokenId> AsToken(const Json& value, const Limits& limits) {
  const std::optional<int64_t> id = AsInteger(value);
  if (!id || *id < 0 || *id >= limits.vocabulary) return std::nullopt;
  return static_cast<TokenId>(*id);
}

void ParseStopTokens(Fields& f, const Limits& limits, CompletionRequest* r) {
  const Json* ids = f.Find("stop_token_ids");
  if (!ids) return;
  if (!ids->is_array() || ids->size() > kMaxStopTokenIds)
    return f.Fail("stop_token_ids", base::StrCat("must be at most ", kMaxStopTokenIds, " token ids."));
  for (const Json& id : *ids) {
    const auto token = AsToken(id, limits);
    if (!token)
      return f.Fail("stop_token_ids", base::StrCat("must hold token ids below ", limits.vocabulary, "; one of them is ",
                                                   KindOf(id), "."));
    r->sampling.stop_token_ids.push_back(*token);
  }
}

void ParseLogitBias(Fields& f, const Limits& limits, CompletionRequest* r) {
  const Json* bias = f.Find("logit_bias");
  if (!bias) return;
  if (!bias->is_object() || bias->size() > kMaxLogitBias)
    return f.Fail("logit_bias", base::StrCat("must be an object of at most ", kMaxLogitBias, " token ids and biases."));
  for (const auto& [key, value] : bias->items()) {
    int id = -1;
    const auto [end, code] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (code != std::errc() || end != key.data() + key.size() || id < 0 || id >= limits.vocabulary)
      return f.Fail("logit_bias",
                    base::StrCat("must have token ids below ", limits.vocabulary, " as keys; one of them is not."));
    if (!value.is_number() || !kBias.Holds(value.get<double>()))
      return f.Fail("logit_bias", base::StrCat("must have biases from ", kBias.low, " to ", kBias.high,
                                               "; that of token ", id, " is ", KindOf(value), "."));
    r->sampling.logit_bias.emplace_back(id, value.get<float>());
  }
}

void ParseSampling(Fields& f, const Limits& limits, CompletionRequest* r) {
  SamplingParams& s = r->sampling;
  s.temperature = static_cast<float>(f.Number("temperature", kTemperature).value_or(1));
  s.top_p = static_cast<float>(f.Number("top_p", kTopP).value_or(1));
  s.min_p = static_cast<float>(f.Number("min_p", kMinP).value_or(0));
  s.top_k = std::max<int>(0, static_cast<int>(f.Integer("top_k", kTopK).value_or(0)));
  s.repetition_penalty = static_cast<float>(f.Number("repetition_penalty", kRepetitionPenalty).value_or(1));
  s.frequency_penalty = static_cast<float>(f.Number("frequency_penalty", kPenalty).value_or(0));
  s.presence_penalty = static_cast<float>(f.Number("presence_penalty", kPenalty).value_or(0));
  s.min_tokens = static_cast<int>(f.Integer("min_tokens", kMinTokens).value_or(0));
  s.ignore_eos = f.Boolean("ignore_eos", false);
  // -1 is how some clients say "none".
  if (auto seed = f.Integer("seed", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()))
    r->seed = static_cast<uint64_t>(*seed);
  ParseStopTokens(f, limits, r);
  ParseLogitBias(f, limits, r);
}

void ParseStreamOptions(Fields& f, CompletionRequest* r, ApiError* error) {
  Json* options = f.Find("stream_options");
  if (!options) return;
  if (!options->is_object())
    return f.Fail("stream_options", base::StrCat("must be an object; it is ", KindOf(*options), "."));
  Fields inner(*options, error, "stream_options.");
  r->include_usage = inner.Boolean("include_usage", false);
  r->continuous_usage = inner.Boolean("continuous_usage_stats", false);
  if (!inner.ok()) {
    const ApiError kept = *error;
    f.Fail("stream_options", "");
    *error = kept;
  }
}

void ParseShared(Fields& f, const Limits& limits, CompletionRequest* r, ApiError* error) {
  r->model = f.Text("model", 1024).value_or("");
  r->n = static_cast<uint32_t>(f.Integer("n", 1, kMaxChoices).value_or(1));
  r->stream = f.Boolean("stream", false);
  ParseStreamOptions(f, r, error);
  r->return_token_ids = f.Boolean("return_token_ids", false);
  r->include_stop = f.Boolean("include_stop_str_in_output", false);
  r->cache_salt = f.Text("cache_salt", kMaxCacheSaltBytes).value_or("");
  r->priority = static_cast<int>(f.Integer("priority", kPriority).value_or(0));
  if (auto v = f.Integer("max_tokens", kMaxTokens)) r->max_tokens = static_cast<int>(*v);
  if (auto v = f.Integer("max_completion_tokens", kMaxTokens)) r->max_tokens = static_cast<int>(*v);
  ParseStops(f, r);
  ParseSampling(f, limits, r);
  if (r->max_tokens && r->sampling.min_tokens > *r->max_tokens)
    f.Fail("min_tokens", "must not be larger than `max_tokens`.");
  for (const char* name :
       {"structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "lora", "adapter"})
    if (f.Has(name)) f.Fail(name, "is not supported by this server yet.");
}

void RefuseUnbuiltChat(Fields& f) {
  for (const char* name : {"tools", "functions"}) {
    const Json* list = f.Find(name);
    if (list && !(list->is_array() && list->empty()))
      f.Fail(name, "are not supported by this server yet; leave the field out.");
  }
  if (const Json* choice = f.Find("tool_choice"); choice && *choice != "none" && *choice != "auto")
    f.Fail("tool_choice", "must be \"none\" or \"auto\": tools are not supported by this server yet.");
  if (f.Has("function_call")) f.Fail("function_call", "is not supported by this server.");
  if (const Json* format = f.Find("response_format")) {
    const bool text = format->is_object() && format->value("type", Json()) == "text";
    if (!text)
      f.Fail("response_format", "must be {\"type\":\"text\"}: constrained output is not supported by this server yet.");
  }
  if (f.Has("audio")) f.Fail("audio", "is not supported by this server.");
  if (const Json* modalities = f.Find("modalities"); modalities && *modalities != Json::array({"text"}))
    f.Fail("modalities", "must be [\"text\"].");
}

bool ParsePromptIds(const Json& list, const Limits& limits, std::vector<TokenId>* ids, ApiError* error) {
  for (const Json& value : list) {
    const auto token = AsToken(value, limits);
    if (!token)
      return *error = {400,
                       base::StrCat("`prompt` must hold token ids below ", limits.vocabulary, "; one of them is ",
                                    KindOf(value), "."),
                       "prompt"},
             false;
    ids->push_back(*token);
  }
  return true;
}

bool ParsePrompt(Json* prompt, const Limits& limits, CompletionRequest* r, ApiError* error) {
  const ApiError wrong{
      400, "`prompt` must be a string, an array of token ids, or an array of these; empty ones are not allowed.",
      "prompt"};
  if (!prompt) return *error = {400, "`prompt` is missing.", "prompt"}, false;
  if (prompt->is_string()) return r->prompts.emplace_back(prompt->get<std::string>()), true;
  if (!prompt->is_array() || prompt->empty()) return *error = wrong, false;
  if ((*prompt)[0].is_number()) {
    std::vector<TokenId> ids;
    if (!ParsePromptIds(*prompt, limits, &ids, error)) return false;
    return r->prompts.emplace_back(std::move(ids)), true;
  }
  if (prompt->size() > kMaxPrompts)
    return *error = {400,
                     base::StrCat("`prompt` holds ", prompt->size(), " prompts; at most ", kMaxPrompts, " are taken."),
                     "prompt"},
           false;
  for (const Json& one : *prompt) {
    if (one.is_string()) {
      r->prompts.emplace_back(one.get<std::string>());
    } else if (one.is_array() && !one.empty()) {
      std::vector<TokenId> ids;
      if (!ParsePromptIds(one, limits, &ids, error)) return false;
      r->prompts.emplace_back(std::move(ids));
    } else {
      return *error = wrong, false;
    }
  }
  return true;
}

}  // namespace

bool ParseBody(const std::string& body, Json* json, ApiError* error) {
  if (const std::string wrong = WrongShape(body); !wrong.empty()) return *error = {400, "The body " + wrong}, false;
  try {
    *json = Json::parse(body);
  } catch (const Json::parse_error& e) {
    return *error = {400, base::StrCat("The body is not valid JSON: error at byte ", e.byte, " of ", body.size(), ".")},
           false;
  } catch (const Json::exception&) {
    return *error = {400, "The body is not valid JSON: a number is out of range."}, false;
  }
  if (!json->is_object())
    return *error = {400, base::StrCat("The body must be a JSON object; it is ", KindOf(*json), ".")}, false;
  return true;
}

bool ParseChat(Json& body, const Limits& limits, CompletionRequest* r, ApiError* error) {
  Fields f(body, error);
  r->chat = true;
  ParseShared(f, limits, r, error);
  RefuseUnbuiltChat(f);
  const bool logprobs = f.Boolean("logprobs", false);
  const auto top = f.Integer("top_logprobs", 0, kMaxTopLogprobs);
  if (logprobs) r->sampling.logprobs = static_cast<int>(top.value_or(0));
  if (!logprobs && top.value_or(0) > 0) f.Fail("top_logprobs", "needs `logprobs` to be true.");
  if (!f.ok()) return false;
  Json* messages = f.Find("messages");
  if (!messages) return *error = {400, "`messages` is missing.", "messages"}, false;
  return ParseMessages(*messages, &r->messages, error);
}

bool ParseCompletion(Json& body, const Limits& limits, CompletionRequest* r, ApiError* error) {
  Fields f(body, error);
  ParseShared(f, limits, r, error);
  if (auto v = f.Integer("logprobs", 0, kMaxTopLogprobs)) r->sampling.logprobs = static_cast<int>(*v);
  if (f.Boolean("echo", false)) f.Fail("echo", "is not supported by this server.");
  if (auto best = f.Integer("best_of", 1, kMaxChoices); best && *best > r->n)
    f.Fail("best_of", "larger than `n` is not supported by this server.");
  if (const Json* suffix = f.Find("suffix"); suffix && *suffix != "")
    f.Fail("suffix", "is not supported by this server.");
  if (!f.ok()) return false;
  return ParsePrompt(f.Find("prompt"), limits, r, error);
}

}  // namespace tokenworks::openai_http
