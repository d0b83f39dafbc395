// SPDX-License-Identifier: Apache-2.0
#include "frontend/openai_http/answer_writer.h"

#include <algorithm>

#include "frontend/openai_http/json_writer.h"
#include "platform/base/str_cat.h"
#include "text/utf8.h"

namespace tokenworks::openai_http {
namespace {

template <typename... T>
void Append(std::string* out, const T&... parts) {
  (fmt::format_to(std::back_inserter(*out), "{}", parts), ...);
}

void AppendUsage(const Usage& u, std::string* out) {
  Append(out, ",\"usage\":{\"prompt_tokens\":", u.prompt, ",\"completion_tokens\":", u.completion,
         ",\"total_tokens\":", u.prompt + u.completion, ",\"prompt_tokens_details\":{\"cached_tokens\":", u.cached,
         "}}");
}

void AppendTimings(const RequestSummary& s, std::string* out) {
  *out += ",\"timings\":{\"path\":";
  AppendJsonString(s.path, out);
  *out += ",\"prefill_worker\":";
  AppendJsonString(s.prefill_worker, out);
  *out += ",\"decode_worker\":";
  AppendJsonString(s.decode_worker, out);
  fmt::format_to(
      std::back_inserter(*out),
      ",\"queue_ms\":{:.3f},\"prefill_ms\":{:.3f},\"handoff_ms\":{:.3f},\"decode_ms\":{:.3f},\"ttft_ms\":{:.3f}}}",
      s.timings.queue_ms, s.timings.prefill_ms, s.timings.handoff_ms, s.timings.decode_ms, s.ttft_ms);
}

std::string Head(std::string_view id, std::string_view object, int64_t created, std::string_view model) {
  std::string out = "{\"id\":";
  AppendJsonString(id, &out);
  Append(&out, ",\"object\":\"", object, "\",\"created\":", created, ",\"model\":");
  AppendJsonString(model, &out);
  return out + ",\"choices\":[";
}

}  // namespace

AnswerWriter::AnswerWriter(const CompletionRequest& request, const text::Tokenizer& tokenizer, std::string_view id,
                           int64_t created, std::string_view model)
    : request_(request), tokenizer_(tokenizer) {
  head_ = "data: " + Head(id, request.chat ? "chat.completion.chunk" : "text_completion", created, model);
  whole_head_ = Head(id, request.chat ? "chat.completion" : "text_completion", created, model);
}

std::string AnswerWriter::TokenText(TokenId token) const {
  const std::string_view bytes = tokenizer_.TokenBytes(token);
  if (text::IsValidUtf8(bytes)) return std::string(bytes);
  std::string out = "bytes:";
  for (const unsigned char c : bytes) fmt::format_to(std::back_inserter(out), "\\x{:02x}", c);
  return out;
}

void AnswerWriter::ChatLogprob(TokenId token, float logprob, std::string* out) const {
  *out += "{\"token\":";
  AppendJsonString(TokenText(token), out);
  *out += ",\"logprob\":";
  AppendLogprob(logprob, out);
  *out += ",\"bytes\":[";
  const std::string_view bytes = tokenizer_.TokenBytes(token);
  for (size_t i = 0; i < bytes.size(); ++i)
    Append(out, i ? "," : "", static_cast<int>(static_cast<unsigned char>(bytes[i])));
  *out += "]";
}

void AnswerWriter::TextLogprobs(const std::vector<OutputToken>& tokens, std::string* out) const {
  const auto each = [&](auto&& item) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i) out->push_back(',');
      item(tokens[i]);
    }
  };
  *out += "{\"tokens\":[";
  each([&](const OutputToken& t) { AppendJsonString(TokenText(t.sampled.token), out); });
  *out += "],\"token_logprobs\":[";
  each([&](const OutputToken& t) { AppendLogprob(t.sampled.logprob, out); });
  *out += "],\"top_logprobs\":[";
  each([&](const OutputToken& t) {
    std::vector<std::string> seen;
    out->push_back('{');
    const auto add = [&](TokenId token, float logprob) {
      std::string text = TokenText(token);
      if (std::find(seen.begin(), seen.end(), text) != seen.end()) return;
      if (!seen.empty()) out->push_back(',');
      AppendJsonString(text, out);
      out->push_back(':');
      AppendLogprob(logprob, out);
      seen.push_back(std::move(text));
    };
    for (const TopLogprob& top : t.sampled.top) add(top.token, top.logprob);
    add(t.sampled.token, t.sampled.logprob);
    out->push_back('}');
  });
  *out += "],\"text_offset\":[";
  each([&](const OutputToken& t) { Append(out, t.text_offset); });
  *out += "]}";
}

void AnswerWriter::Logprobs(const std::vector<OutputToken>& tokens, std::string* out) const {
  *out += ",\"logprobs\":";
  if (request_.sampling.logprobs < 0) return void(*out += "null");
  if (!request_.chat) return TextLogprobs(tokens, out);
  *out += "{\"content\":[";
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i) out->push_back(',');
    const SampledToken& t = tokens[i].sampled;
    ChatLogprob(t.token, t.logprob, out);
    *out += ",\"top_logprobs\":[";
    for (size_t j = 0; j < t.top.size(); ++j) {
      if (j) out->push_back(',');
      ChatLogprob(t.top[j].token, t.top[j].logprob, out);
      out->push_back('}');
    }
    *out += "]}";
  }
  *out += "],\"refusal\":null}";
}

void AnswerWriter::TokenIds(const std::vector<OutputToken>& tokens, std::string* out) const {
  if (!request_.return_token_ids) return;
  *out += ",\"token_ids\":[";
  for (size_t i = 0; i < tokens.size(); ++i) Append(out, i ? "," : "", tokens[i].sampled.token);
  out->push_back(']');
}

void AnswerWriter::Close(const Usage* usage, const RequestSummary* summary, std::string* out) const {
  *out += "]";
  if (usage) AppendUsage(*usage, out);
  if (summary) AppendTimings(*summary, out);
  *out += "}\n\n";
}

void AnswerWriter::FirstDelta(uint32_t index, const Usage* usage, std::string* out) const {
  if (!request_.chat) return;
  Append(out, head_, "{\"index\":", index,
         ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}");
  Close(usage, nullptr, out);
}

void AnswerWriter::Delta(uint32_t index, const Piece& piece, const Usage* usage, std::string* out) const {
  const bool more = !piece.tokens.empty() && (request_.sampling.logprobs >= 0 || request_.return_token_ids);
  if (piece.text.empty() && !more) return;
  Append(out, head_, "{\"index\":", index, request_.chat ? ",\"delta\":{\"content\":" : ",\"text\":");
  AppendJsonString(piece.text, out);
  if (request_.chat) out->push_back('}');
  Logprobs(piece.tokens, out);
  *out += ",\"finish_reason\":null";
  TokenIds(piece.tokens, out);
  out->push_back('}');
  Close(usage, nullptr, out);
}

void AnswerWriter::Finish(uint32_t index, FinishReason reason, const Usage* usage, const RequestSummary* summary,
                          std::string* out) const {
  Append(out, head_, "{\"index\":", index, request_.chat ? ",\"delta\":{}" : ",\"text\":\"\"",
         ",\"logprobs\":null,\"finish_reason\":\"", FinishReasonName(reason), "\"}");
  Close(usage, summary, out);
}

void AnswerWriter::UsageChunk(const Usage& usage, const RequestSummary& summary, std::string* out) const {
  *out += head_;
  Close(&usage, &summary, out);
}

std::string AnswerWriter::Whole(const std::vector<Choice>& choices, const std::vector<WholeChoice>& contents,
                                const Usage& usage, const RequestSummary& summary) const {
  std::string out = whole_head_;
  for (size_t i = 0; i < choices.size(); ++i) {
    Append(&out, i ? "," : "", "{\"index\":", choices[i].index(),
           request_.chat ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"text\":");
    AppendJsonString(contents[i].text, &out);
    if (request_.chat) out += ",\"refusal\":null}";
    Logprobs(contents[i].tokens, &out);
    Append(&out, ",\"finish_reason\":\"", FinishReasonName(choices[i].finish()), "\"");
    TokenIds(contents[i].tokens, &out);
    out += "}";
  }
  out += "]";
  AppendUsage(usage, &out);
  AppendTimings(summary, &out);
  return out + "}";
}

}  // namespace tokenworks::openai_http
