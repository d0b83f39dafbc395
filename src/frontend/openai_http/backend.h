// SPDX-License-Identifier: Apache-2.0
// What the front end needs from the router. The apps bind the two.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tokenworks/generation_request.h"
#include "tokenworks/token_sink.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::openai_http {

// Thread-safe; nothing blocks. Callbacks come on any thread, also from inside the call that takes them.
class Backend {
 public:
  virtual ~Backend() = default;
  // The sink hears of tokens and the end, also when the request is refused.
  virtual RequestId Submit(GenerationRequest request, std::shared_ptr<TokenSink> sink) = 0;
  // Without `sequence`: the whole request. With kStopString, `kept_tokens` of the sequence count as generated.
  // Unknown and ended requests are no error.
  virtual void Cancel(RequestId request, std::optional<uint32_t> sequence, CancelReason reason,
                      uint32_t kept_tokens) = 0;
  // NotFound for an unknown worker; FailedPrecondition when it cannot take the role.
  virtual void SetRole(const WorkerId& worker, WorkerRole role, std::function<void(Status)> done) = 0;
  // The object of DESIGN §11 as JSON.
  virtual void ClusterJson(std::function<void(std::string)> done) = 0;
  // Prometheus text format.
  virtual void Metrics(std::function<void(std::string)> done) = 0;
  // Ok when requests would be served; else Unavailable with what is missing.
  virtual void Ready(std::function<void(Status)> done) = 0;
};

}  // namespace tokenworks::openai_http
