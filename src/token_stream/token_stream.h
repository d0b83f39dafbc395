// SPDX-License-Identifier: Apache-2.0
// A bounded stream of one request's tokens between the router's thread and a consumer.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tokenworks/token_sink.h"

namespace tokenworks::token_stream {

inline constexpr size_t kCapacityTokens = 8192;

// Thread-safe: one producer (the router's thread), one consumer.
// Overflow rule: a consumer that leaves more than `capacity_tokens` waiting is too slow. What waits is dropped,
// `overflow` is called once (cancel the request there), and the stream ends with ResourceExhausted.
class TokenStream final : public TokenSink {
 public:
  // Both are called from the producer's thread without a lock held; they must not block.
  struct Callbacks {
    std::function<void()> wake;  // something waits; once until the next Take
    std::function<void()> overflow;
  };
  struct Batch {
    std::vector<TokenDelta> deltas;     // in order
    std::optional<RequestSummary> end;  // the last thing of the stream, given once
  };

  explicit TokenStream(Callbacks callbacks, size_t capacity_tokens = kCapacityTokens);

  void OnTokens(TokenDelta delta) override;
  void OnEnd(RequestSummary summary) override;

  // Everything that waits, possibly nothing.
  Batch Take();
  // The consumer leaves: what waits is dropped and nothing is kept or woken any more (a wake under way may finish).
  void Close();

 private:
  void Push(std::optional<TokenDelta> delta, std::optional<RequestSummary> end);

  const Callbacks callbacks_;
  const size_t capacity_tokens_;
  std::mutex mutex_;
  std::vector<TokenDelta> deltas_;
  std::optional<RequestSummary> end_;
  size_t tokens_ = 0;
  bool woken_ = false, end_given_ = false, closed_ = false;
};

}  // namespace tokenworks::token_stream
