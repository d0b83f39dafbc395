// SPDX-License-Identifier: Apache-2.0
#include "frontend/openai_http/turn.h"

#include <algorithm>

namespace tokenworks::openai_http {
namespace {

// How long a stream whose stop strings ended it waits for the worker's timings.
constexpr std::chrono::milliseconds kStopGrace{250};

class TurnSink final : public TokenSink {
 public:
  TurnSink(std::shared_ptr<Turn> turn, size_t prompt) : turn_(std::move(turn)), prompt_(prompt) {}
  void OnTokens(TokenDelta delta) override { turn_->Enqueue({prompt_, std::move(delta)}); }
  void OnEnd(RequestSummary summary) override { turn_->Enqueue({prompt_, std::move(summary)}); }

 private:
  std::shared_ptr<Turn> turn_;
  size_t prompt_;
};

}  // namespace

Turn::Turn(TurnInputs inputs, const text::Tokenizer& tokenizer, Backend& backend,
           std::shared_ptr<http::Responder> responder)
    : in_(std::move(inputs)),
      backend_(backend),
      responder_(std::move(responder)),
      writer_(in_.request, tokenizer, (in_.request.chat ? "chatcmpl-" : "cmpl-") + in_.request_id, in_.created,
              in_.model),
      begun_(in_.prompts.size() * in_.request.n),
      ended_(in_.prompts.size()),
      summaries_(in_.prompts.size()),
      tokenizer_(tokenizer) {
  for (uint32_t i = 0; i < begun_.size(); ++i)
    choices_.emplace_back(i, tokenizer_, in_.request.stops, in_.request.include_stop);
  if (!in_.request.stream) contents_.resize(choices_.size());
}

void Turn::Start() {
  responder_->OnClose([weak = weak_from_this()] {
    if (auto turn = weak.lock()) turn->OnClientGone();
  });
  for (size_t i = 0; i < in_.prompts.size(); ++i) {
    GenerationRequest request;
    request.external_id = in_.request_id;
    request.model = in_.model;
    request.cache_salt = in_.request.cache_salt;
    request.priority = in_.request.priority;
    request.trace_parent = in_.trace_parent;
    request.prompt = in_.prompts[i];
    request.n = in_.request.n;
    request.sampling = in_.request.sampling;
    request.sampling.seed = in_.seed;
    request.sampling.max_tokens = in_.max_tokens[i];
    ids_.push_back(backend_.Submit(std::move(request), std::make_shared<TurnSink>(shared_from_this(), i)));
  }
}

void Turn::Enqueue(Event event) {
  std::lock_guard lock(mutex_);
  inbox_.push_back(std::move(event));
  if (std::exchange(drain_posted_, true)) return;
  responder_->Post([self = shared_from_this()] { self->Drain(); });
}

void Turn::Drain() {
  std::vector<Event> events;
  {
    std::lock_guard lock(mutex_);
    events.swap(inbox_);
    drain_posted_ = false;
  }
  std::string out;
  for (Event& event : events) {
    if (done_) return;
    if (auto* delta = std::get_if<TokenDelta>(&event.what))
      OnTokens(event.prompt, *delta, &out);
    else
      OnEnd(event.prompt, std::move(std::get<RequestSummary>(event.what)));
    if (done_) return;
    const size_t prompt = event.prompt;
    if (ended_[prompt] && !summaries_[prompt].status.ok())
      return Fail(FromStatus(summaries_[prompt].status, summaries_[prompt].retry_after_s), &out);
  }
  Complete(&out);
}

void Turn::OnTokens(size_t prompt, const TokenDelta& delta, std::string* out) {
  if (delta.sequence >= in_.request.n) return;
  const uint32_t index = static_cast<uint32_t>(prompt * in_.request.n + delta.sequence);
  Choice& choice = choices_[index];
  if (choice.finished()) return;
  Piece piece = choice.Push(delta);
  if (piece.stopped_by_text) {
    backend_.Cancel(ids_[prompt], delta.sequence, CancelReason::kStopString, static_cast<uint32_t>(choice.tokens()));
    if (AllFinished())
      responder_->PostAfter(kStopGrace, [self = shared_from_this()] {
        self->grace_over_ = true;
        self->Drain();
      });
  }
  if (!in_.request.stream) {
    contents_[index].text += piece.text;
    std::move(piece.tokens.begin(), piece.tokens.end(), std::back_inserter(contents_[index].tokens));
    return;
  }
  const Usage usage = CountUsage();
  const Usage* shown = in_.request.continuous_usage ? &usage : nullptr;
  if (!begun_[index]) writer_.FirstDelta(index, shown, out);
  begun_[index] = true;
  writer_.Delta(index, piece, shown, out);
  if (!choice.finished()) return;
  if (AllFinished())
    held_finish_ = static_cast<int>(index);
  else if (choice.finish() == FinishReason::kStop || choice.finish() == FinishReason::kLength)
    writer_.Finish(index, choice.finish(), shown, nullptr, out);
}

void Turn::OnEnd(size_t prompt, RequestSummary summary) {
  ended_[prompt] = true;
  summaries_[prompt] = std::move(summary);
  if (!summaries_[prompt].status.ok()) {
    // A cancel of our own (stop strings) is no failure.
    bool whole = true;
    for (uint32_t s = 0; s < in_.request.n; ++s) {
      const FinishReason finish = choices_[prompt * in_.request.n + s].finish();
      whole &= finish == FinishReason::kStop || finish == FinishReason::kLength;
    }
    if (whole) summaries_[prompt].status = OkStatus();
    return;
  }
  for (uint32_t s = 0; s < in_.request.n; ++s) {
    const FinishReason finish = choices_[prompt * in_.request.n + s].finish();
    if (finish != FinishReason::kStop && finish != FinishReason::kLength)
      summaries_[prompt].status = absl::InternalError("The request ended before all of its sequences did.");
  }
}

void Turn::Complete(std::string* out) {
  const bool all_ended = std::all_of(ended_.begin(), ended_.end(), [](bool e) { return e; });
  if (done_) return;
  if (!AllFinished() || !(all_ended || grace_over_)) return FlushStream(*out);
  done_ = true;
  const Usage usage = CountUsage();
  if (!in_.request.stream) {
    http::Response response;
    response.headers = AnswerHeaders();
    response.body = writer_.Whole(choices_, contents_, usage, summaries_[0]);
    return responder_->Send(std::move(response));
  }
  const bool usage_chunk = in_.request.include_usage;
  if (held_finish_ >= 0)
    writer_.Finish(static_cast<uint32_t>(held_finish_), choices_[static_cast<size_t>(held_finish_)].finish(),
                   in_.request.continuous_usage ? &usage : nullptr, usage_chunk ? nullptr : &summaries_[0], out);
  if (usage_chunk) writer_.UsageChunk(usage, summaries_[0], out);
  *out += "data: [DONE]\n\n";
  if (!stream_open_) responder_->BeginStream(200, "text/event-stream", AnswerHeaders());
  responder_->End(*out);
}

void Turn::FlushStream(const std::string& out) {
  if (out.empty()) return;
  if (!std::exchange(stream_open_, true)) responder_->BeginStream(200, "text/event-stream", AnswerHeaders());
  responder_->Write(out);
}

void Turn::Fail(const ApiError& error, std::string* out) {
  done_ = true;
  CancelAll(CancelReason::kAborted);
  if (!stream_open_) {
    http::Response response = ErrorResponse(error);
    response.headers.emplace_back("x-request-id", in_.request_id);
    return responder_->Send(std::move(response));
  }
  *out += "event: error\ndata: " + ErrorJson(error) + "\n\n";
  responder_->End(*out);
}

void Turn::OnClientGone() {
  if (std::exchange(done_, true)) return;
  CancelAll(CancelReason::kClientGone);
}

void Turn::CancelAll(CancelReason reason) {
  for (size_t i = 0; i < ids_.size(); ++i)
    if (!ended_[i]) backend_.Cancel(ids_[i], std::nullopt, reason, UINT32_MAX);
}

bool Turn::AllFinished() const {
  return std::all_of(choices_.begin(), choices_.end(), [](const Choice& c) { return c.finished(); });
}

Usage Turn::CountUsage() const {
  Usage usage;
  for (const auto& prompt : in_.prompts) usage.prompt += prompt.size();
  for (const Choice& choice : choices_) usage.completion += choice.tokens();
  for (const RequestSummary& summary : summaries_)
    usage.cached += static_cast<size_t>(std::max(0, summary.cached_tokens));
  return usage;
}

}  // namespace tokenworks::openai_http
