// SPDX-License-Identifier: Apache-2.0
#include "frontend/grpc/generate_request.h"

#include <algorithm>
#include <limits>

#include "frontend/request_limits.h"
#include "platform/base/str_cat.h"

namespace tokenworks::grpc_frontend {
namespace {

using base::StrCat;
using namespace request_limits;  // of every dialect

Status Bad(const char* field, const std::string& sentence) {
  return absl::InvalidArgumentError(StrCat("`", field, "` ", sentence));
}

Status InRange(const char* field, double value, const Range& range) {
  if (range.Holds(value)) return OkStatus();
  return Bad(field, StrCat("must be ", range.low_open ? "above " : "from ", range.low,
                           range.low_open ? ", at most " : " to ", range.high, "; it is ", value));
}

Status CheckLists(const v1::GenerateRequest& in, int vocabulary) {
  const v1::Sampling& s = in.sampling();
  if (in.stop_size() > kMaxStops)
    return Bad("stop", StrCat("takes at most ", kMaxStops, " strings; there are ", in.stop_size()));
  for (const std::string& stop : in.stop())
    if (stop.empty() || stop.size() > kMaxStopBytes)
      return Bad("stop", StrCat("strings have 1 to ", kMaxStopBytes, " bytes; one has ", stop.size()));
  if (static_cast<size_t>(s.stop_token_ids_size()) > kMaxStopTokenIds)
    return Bad("stop_token_ids", StrCat("takes at most ", kMaxStopTokenIds, " ids"));
  if (s.logit_bias().size() > kMaxLogitBias)
    return Bad("logit_bias", StrCat("takes at most ", kMaxLogitBias, " entries"));
  const auto known = [&](int id) { return id >= 0 && id < vocabulary; };
  if (!std::all_of(s.stop_token_ids().begin(), s.stop_token_ids().end(), known))
    return Bad("stop_token_ids", StrCat("must be below ", vocabulary));
  for (const auto& [id, bias] : s.logit_bias()) {
    if (!known(id)) return Bad("logit_bias", StrCat("keys must be token ids below ", vocabulary, "; one is ", id));
    TW_RETURN_IF_ERROR(InRange("logit_bias", bias, kBias));
  }
  return OkStatus();
}

StatusOr<SamplingParams> CheckSampling(const v1::Sampling& s) {
  SamplingParams out;
  out.temperature = s.has_temperature() ? s.temperature() : 1;
  out.top_p = s.has_top_p() ? s.top_p() : 1;
  out.repetition_penalty = s.has_repetition_penalty() ? s.repetition_penalty() : 1;
  TW_RETURN_IF_ERROR(InRange("temperature", out.temperature, kTemperature));
  TW_RETURN_IF_ERROR(InRange("top_p", out.top_p, kTopP));
  TW_RETURN_IF_ERROR(InRange("repetition_penalty", out.repetition_penalty, kRepetitionPenalty));
  TW_RETURN_IF_ERROR(InRange("min_p", s.min_p(), kMinP));
  TW_RETURN_IF_ERROR(InRange("frequency_penalty", s.frequency_penalty(), kPenalty));
  TW_RETURN_IF_ERROR(InRange("presence_penalty", s.presence_penalty(), kPenalty));
  TW_RETURN_IF_ERROR(InRange("top_k", s.top_k(), kTopK));
  TW_RETURN_IF_ERROR(InRange("min_tokens", s.min_tokens(), kMinTokens));
  if (s.has_logprobs()) TW_RETURN_IF_ERROR(InRange("logprobs", s.logprobs(), Range{0, kMaxTopLogprobs}));
  if (s.has_max_tokens()) TW_RETURN_IF_ERROR(InRange("max_tokens", s.max_tokens(), kMaxTokens));
  out.max_tokens = s.has_max_tokens() ? s.max_tokens() : std::numeric_limits<int>::max();
  if (s.min_tokens() > out.max_tokens) return Bad("min_tokens", "must not be larger than `max_tokens`");
  out.min_p = s.min_p();
  out.frequency_penalty = s.frequency_penalty();
  out.presence_penalty = s.presence_penalty();
  out.top_k = std::max(0, s.top_k());
  out.min_tokens = s.min_tokens();
  out.logprobs = s.has_logprobs() ? s.logprobs() : -1;
  out.ignore_eos = s.ignore_eos();
  out.seed = s.seed();
  out.stop_token_ids.assign(s.stop_token_ids().begin(), s.stop_token_ids().end());
  out.logit_bias.assign(s.logit_bias().begin(), s.logit_bias().end());
  std::sort(out.logit_bias.begin(), out.logit_bias.end());
  return out;
}

StatusOr<std::vector<TokenId>> CheckPrompt(const v1::GenerateRequest& in, const text::Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  if (in.input_case() == v1::GenerateRequest::kText) {
    ids = tokenizer.Encode(in.text());
    if (tokenizer.add_bos() && tokenizer.bos() >= 0) ids.insert(ids.begin(), tokenizer.bos());
  } else if (in.input_case() == v1::GenerateRequest::kTokens) {
    ids.assign(in.tokens().ids().begin(), in.tokens().ids().end());
  } else {
    return Bad("input", "is missing: set `text` or `tokens`");
  }
  if (ids.empty()) return Bad("input", "is empty: at least one token is needed");
  for (const TokenId id : ids)
    if (id < 0 || id >= tokenizer.vocabulary())
      return Bad("tokens", StrCat("must be below ", tokenizer.vocabulary(), "; one is ", id));
  return ids;
}

}  // namespace

StatusOr<CheckedRequest> Check(const v1::GenerateRequest& in, const text::Tokenizer& tokenizer) {
  if (in.request_id().size() > kMaxRequestIdBytes ||
      !std::all_of(in.request_id().begin(), in.request_id().end(), [](char c) { return c > ' ' && c < 0x7F; }))
    return Bad("request_id", StrCat("must be at most ", kMaxRequestIdBytes, " printable characters"));
  if (in.n() > kMaxChoices) return Bad("n", StrCat("must be from 1 to ", kMaxChoices, "; it is ", in.n()));
  TW_RETURN_IF_ERROR(InRange("priority", in.priority(), kPriority));
  if (in.cache_salt().size() > kMaxCacheSaltBytes)
    return Bad("cache_salt", StrCat("must be at most ", kMaxCacheSaltBytes, " bytes"));
  TW_RETURN_IF_ERROR(CheckLists(in, tokenizer.vocabulary()));
  CheckedRequest out;
  TW_ASSIGN_OR_RETURN(out.request.sampling, CheckSampling(in.sampling()));
  TW_ASSIGN_OR_RETURN(out.request.prompt, CheckPrompt(in, tokenizer));
  out.request.n = std::max(1u, in.n());
  out.request.cache_salt = in.cache_salt();
  out.request.priority = in.priority();
  out.seed_given = in.sampling().has_seed();
  out.stops.assign(in.stop().begin(), in.stop().end());
  out.include_stop = in.include_stop();
  return out;
}

}  // namespace tokenworks::grpc_frontend
