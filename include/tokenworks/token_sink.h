// SPDX-License-Identifier: Apache-2.0
// The router's side of a client: what a front end gives the router with a request.
#pragma once

#include <string>

#include "tokenworks/status.h"
#include "tokenworks/token_delta.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks {

// `timings` of a completion (DESIGN §11).
struct RequestSummary {
  Status status;             // ok, or why: 4xx / 5xx by code; the message is for the client
  double retry_after_s = 0;  // with ResourceExhausted / Unavailable
  std::string path;          // "disaggregated" or "local"
  WorkerId prefill_worker, decode_worker;
  RequestTimings timings;
  double ttft_ms = 0;
  int cached_tokens = 0;
};

// Called on the router's thread, in order, never after OnEnd; must not block (post to your own thread).
// A request that is refused (queue full, no worker, prompt too long) gets OnEnd as its first call.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  virtual void OnTokens(TokenDelta delta) = 0;
  virtual void OnEnd(RequestSummary summary) = 0;
};

}  // namespace tokenworks
