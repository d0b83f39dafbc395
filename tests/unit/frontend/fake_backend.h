// SPDX-License-Identifier: Apache-2.0
// A backend whose answers a test scripts, a byte-level tokenizer, and a server around both.
#pragma once

#include <condition_variable>
#include <mutex>

#include "../http/http_client.h"
#include "frontend/openai_http/frontend.h"

namespace tokenworks::openai_http {

inline constexpr char kChat[] = "/v1/chat/completions", kText[] = "/v1/completions";
// A body with `more` fields.
inline std::string Chat(const std::string& more) {
  return "{\"model\":\"default\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]" + more + "}";
}
inline std::string Completion(const std::string& more) { return "{\"prompt\":\"abc\"" + more + "}"; }

// Token ids 0..255 are bytes, 256 = <|im_start|>, 257 = <|im_end|> (eos).
inline constexpr TokenId kEnd = 257;

inline std::unique_ptr<text::Tokenizer> ByteTokenizer() {
  text::TokenizerData data;
  int next = 256;
  for (int b = 0; b < 256; ++b) {  // GPT-2's printable alphabet
    const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
    const int code = printable ? b : next++;
    data.tokens.push_back(
        code < 0x80 ? std::string(1, static_cast<char>(code))
                    : std::string{static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))});
  }
  data.tokens.push_back("<|im_start|>");
  data.tokens.push_back("<|im_end|>");
  data.special.assign(258, false);
  data.special[256] = data.special[257] = true;
  data.pre_tokenizer = "smollm";
  data.eos = kEnd;
  auto tokenizer = text::Tokenizer::Create(std::move(data));
  if (!tokenizer.ok()) std::abort();
  return std::move(*tokenizer);
}

class FakeBackend final : public Backend {
 public:
  struct Submitted {
    RequestId id;
    GenerationRequest request;
    std::shared_ptr<TokenSink> sink;
  };
  struct Cancelled {
    RequestId id;
    std::optional<uint32_t> sequence;
    CancelReason reason;
    uint32_t kept;
  };
  // What happens on Submit; empty = nothing, the test goes on by hand.
  std::function<void(Submitted)> script;
  Status ready;

  RequestId Submit(GenerationRequest request, std::shared_ptr<TokenSink> sink) override {
    Submitted s{{++count_}, std::move(request), std::move(sink)};
    {
      std::lock_guard lock(mutex_);
      submitted_.push_back(s);
    }
    changed_.notify_all();
    if (script) script(s);
    return s.id;
  }
  void Cancel(RequestId id, std::optional<uint32_t> sequence, CancelReason reason, uint32_t kept) override {
    {
      std::lock_guard lock(mutex_);
      cancelled_.push_back({id, sequence, reason, kept});
    }
    changed_.notify_all();
  }
  void SetRole(const WorkerId& worker, WorkerRole, std::function<void(Status)> done) override {
    done(worker == "decode-0" ? OkStatus() : absl::NotFoundError("There is no worker " + worker + "."));
  }
  void ClusterJson(std::function<void(std::string)> done) override { done("{\"model\":\"tiny\"}"); }
  void Metrics(std::function<void(std::string)> done) override { done("tokenworks_requests_total 0\n"); }
  void Ready(std::function<void(Status)> done) override { done(ready); }

  Submitted WaitForRequest(size_t index = 0) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return submitted_.size() > index; });
    return submitted_.at(index);
  }
  std::vector<Cancelled> WaitForCancels(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return cancelled_.size() >= count; });
    return cancelled_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Submitted> submitted_;
  std::vector<Cancelled> cancelled_;
  uint64_t count_ = 0;
};

inline TokenDelta Delta(uint32_t sequence, uint32_t position, std::string_view bytes,
                        FinishReason finish = FinishReason::kNone, bool end_token = false) {
  TokenDelta delta;
  delta.sequence = sequence;
  delta.position = position;
  for (const unsigned char c : bytes) delta.tokens.push_back({c, -0.5f, {{c, -0.5f}, {'x', -2.0f}}});
  if (end_token) delta.tokens.push_back({kEnd, -0.25f, {{kEnd, -0.25f}}});
  delta.finish = finish;
  return delta;
}

inline RequestSummary Summary() {
  return {.status = OkStatus(),
          .path = "disaggregated",
          .prefill_worker = "prefill-0",
          .decode_worker = "decode-0",
          .timings = {1, 2, 3, 4},
          .ttft_ms = 5,
          .cached_tokens = 16};
}

// "Hi é!" to every sequence, one byte per step, and an end token.
inline void Greet(FakeBackend::Submitted s) {
  const std::string text = "Hi \xC3\xA9!";
  for (uint32_t i = 0; i < text.size(); ++i)
    for (uint32_t n = 0; n < s.request.n; ++n) s.sink->OnTokens(Delta(n, i, text.substr(i, 1)));
  for (uint32_t n = 0; n < s.request.n; ++n) s.sink->OnTokens(Delta(n, 6, "", FinishReason::kStop, true));
  s.sink->OnEnd(Summary());
}

struct Service {
  std::unique_ptr<text::Tokenizer> tokenizer = ByteTokenizer();
  std::unique_ptr<text::ChatTemplate> chat_template;
  FakeBackend backend;
  std::unique_ptr<OpenAiFrontend> frontend;
  std::unique_ptr<http::Server> server;

  explicit Service(std::function<void(FakeBackend::Submitted)> script = Greet) {
    backend.script = std::move(script);
    chat_template = std::move(
        *text::ChatTemplate::Create("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% "
                                    "endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
                                    "", "<|im_end|>"));
    FrontendOptions o;
    o.model = "tiny";
    o.aliases = {"small"};
    o.created = 1700000000;
    o.context_length = 512;
    o.version = "0.1.0";
    o.unix_time = [] { return 1700000001; };
    frontend = std::make_unique<OpenAiFrontend>(std::move(o), *tokenizer, chat_template.get(), backend);
    http::ServerOptions s;
    s.error_body = OpenAiFrontend::ErrorBody;
    server = std::make_unique<http::Server>(s);
    frontend->Register(*server);
    if (!server->Start().ok()) std::abort();
  }
  std::string Ask(const std::string& bytes) {
    http::RawClient client(server->port());
    client.Send(bytes);
    return client.ReadAnswer();
  }
};

}  // namespace tokenworks::openai_http
