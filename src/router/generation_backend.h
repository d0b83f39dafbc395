// SPDX-License-Identifier: Apache-2.0
// What a front end needs of a router; tests put a fake behind it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

#include "tokenworks/generation_request.h"
#include "tokenworks/ids.h"
#include "tokenworks/token_sink.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::router {

// Whether SamplingParams::seed is the client's, or the router draws one.
enum class SeedSource : uint8_t { kGiven, kDraw };

inline constexpr uint32_t kKeepAll = std::numeric_limits<uint32_t>::max();

// Thread-safe; nothing blocks, and no sink is called inside a call.
class GenerationBackend {
 public:
  virtual ~GenerationBackend() = default;

  // Takes the request; `id` and `epoch` are set here. The sink hears of a refusal by OnEnd as its first call.
  // max_tokens is clipped to the context: a front end without a value passes INT32_MAX.
  virtual RequestId Submit(GenerationRequest request, std::shared_ptr<TokenSink> sink, SeedSource seed) = 0;

  // Without `sequence` the whole request: it ends with Cancelled (DeadlineExceeded for kDeadline). With one:
  // the sequence is over for the caller, no more tokens of it come, and the request ends when all are over.
  // With kStopString that is a completion, and `kept_tokens` (before the stop, the token that completed it
  // included) is what the token counters take. Unknown ids are ignored.
  virtual void Cancel(RequestId id, std::optional<uint32_t> sequence, CancelReason reason,
                      uint32_t kept_tokens = kKeepAll) = 0;
};

}  // namespace tokenworks::router
