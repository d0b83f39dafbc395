// SPDX-License-Identifier: Apache-2.0
#include "frontend/grpc/answer.h"

#include <algorithm>

namespace tokenworks::grpc_frontend {

Answer::Answer(std::string request_id, const CheckedRequest& request, const text::Tokenizer& tokenizer)
    : request_id_(std::move(request_id)),
      prompt_tokens_(static_cast<int>(request.request.prompt.size())),
      logprobs_(request.request.sampling.logprobs >= 0) {
  for (uint32_t i = 0; i < request.request.n; ++i)
    choices_.emplace_back(i, tokenizer, request.stops, request.include_stop);
}

int64_t Answer::Add(const TokenDelta& delta, v1::GenerateResponse* out) {
  if (delta.sequence >= choices_.size()) return -1;
  token_stream::Choice& choice = choices_[delta.sequence];
  if (choice.finished()) return -1;
  const token_stream::Piece piece = choice.Push(delta);
  out->set_request_id(request_id_);
  v1::Delta* d = out->add_deltas();
  d->set_sequence(delta.sequence);
  d->set_text(piece.text);
  for (const token_stream::OutputToken& token : piece.tokens) {
    v1::Token* t = d->add_tokens();
    t->set_id(token.sampled.token);
    if (!logprobs_) continue;
    t->set_logprob(token.sampled.logprob);
    for (const TopLogprob& top : token.sampled.top) {
      v1::TopLogprob* l = t->add_top();
      l->set_token(top.token);
      l->set_logprob(top.logprob);
    }
  }
  if (choice.finished()) d->set_finish_reason(std::string(FinishReasonName(choice.finish())));
  return piece.stopped_by_text ? static_cast<int64_t>(choice.tokens()) : -1;
}

Status Answer::Finish(const RequestSummary& summary, v1::GenerateResponse* out) {
  const bool whole = std::all_of(choices_.begin(), choices_.end(), [](const token_stream::Choice& c) {
    return c.finish() == FinishReason::kStop || c.finish() == FinishReason::kLength;
  });
  if (!whole)
    return summary.status.ok() ? absl::InternalError("the request ended before all of its sequences did")
                               : summary.status;
  out->set_request_id(request_id_);
  v1::Summary* s = out->mutable_summary();
  s->set_path(summary.path);
  s->set_prefill_worker(summary.prefill_worker);
  s->set_decode_worker(summary.decode_worker);
  s->set_prompt_tokens(prompt_tokens_);
  s->set_cached_tokens(summary.cached_tokens);
  int tokens = 0;
  for (const token_stream::Choice& c : choices_) tokens += static_cast<int>(c.tokens());
  s->set_completion_tokens(tokens);
  s->set_queue_ms(summary.timings.queue_ms);
  s->set_prefill_ms(summary.timings.prefill_ms);
  s->set_handoff_ms(summary.timings.handoff_ms);
  s->set_decode_ms(summary.timings.decode_ms);
  s->set_ttft_ms(summary.ttft_ms);
  return OkStatus();
}

}  // namespace tokenworks::grpc_frontend
