// SPDX-License-Identifier: Apache-2.0
// Requests and tokens to proto/request.proto and back. Free of gRPC: peers use it too.
#pragma once

#include "request.pb.h"
#include "tokenworks/generation_request.h"
#include "tokenworks/kv_layout.h"
#include "tokenworks/status.h"
#include "tokenworks/token_delta.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::rpc {

// `now` turns a deadline into the time that is left, and back.
void ToWire(const GenerationRequest& in, TimePoint now, wire::GenerationRequest* out);
// InvalidArgument for values that no sender of ours writes (an empty prompt, n = 0).
Status FromWire(const wire::GenerationRequest& in, TimePoint now, GenerationRequest* out);

void ToWire(const SampledToken& in, wire::SampledToken* out);
SampledToken FromWire(const wire::SampledToken& in);
void ToWire(const KvLayout& in, wire::KvLayout* out);
KvLayout FromWire(const wire::KvLayout& in);
void ToWire(const PeerAddress& in, wire::PeerAddress* out);
PeerAddress FromWire(const wire::PeerAddress& in);
void ToWire(const Status& in, wire::WireStatus* out);
Status FromWire(const wire::WireStatus& in);

// An enumerator, or InvalidArgument naming `what` when the value is above `last`.
template <typename Enum>
Status EnumFromWire(uint32_t value, Enum last, const char* what, Enum* out) {
  if (value > static_cast<uint32_t>(last))
    return absl::InvalidArgumentError(std::string("a message of another process has an unknown ") + what);
  *out = static_cast<Enum>(value);
  return OkStatus();
}

}  // namespace tokenworks::rpc
