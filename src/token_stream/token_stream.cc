// SPDX-License-Identifier: Apache-2.0
#include "token_stream/token_stream.h"

namespace tokenworks::token_stream {

TokenStream::TokenStream(Callbacks callbacks, size_t capacity_tokens)
    : callbacks_(std::move(callbacks)), capacity_tokens_(capacity_tokens) {}

void TokenStream::OnTokens(TokenDelta delta) { Push(std::move(delta), std::nullopt); }
void TokenStream::OnEnd(RequestSummary summary) { Push(std::nullopt, std::move(summary)); }

void TokenStream::Push(std::optional<TokenDelta> delta, std::optional<RequestSummary> end) {
  bool overflow = false, wake = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || end_) return;
    if (delta) {
      tokens_ += delta->tokens.size();
      deltas_.push_back(std::move(*delta));
      if (tokens_ > capacity_tokens_) {
        overflow = true;
        deltas_.clear();
        end_.emplace();
        end_->status =
            absl::ResourceExhaustedError("the client reads its tokens too slowly; the request was cancelled");
      }
    } else {
      end_ = std::move(end);
    }
    wake = !std::exchange(woken_, true);
  }
  if (overflow) callbacks_.overflow();
  if (wake) callbacks_.wake();
}

TokenStream::Batch TokenStream::Take() {
  std::lock_guard lock(mutex_);
  Batch batch;
  batch.deltas.swap(deltas_);
  tokens_ = 0;
  woken_ = false;
  if (end_ && !end_given_) {
    batch.end = *end_;
    end_given_ = true;
  }
  return batch;
}

void TokenStream::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  deltas_.clear();
}

}  // namespace tokenworks::token_stream
