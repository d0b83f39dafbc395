// SPDX-License-Identifier: Apache-2.0
// What the two ends of a hand-off say to each other on their own socket.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "platform/base/worker_messages.h"

namespace tokenworks::kv_transfer {

// Prefill -> decode.
struct PeerHello {  // with the ring's descriptor
  WorkerId worker;
  Incarnation incarnation = 0, receiver = 0;  // `receiver`: the incarnation that the sender means to reach
  std::string model, weight_digest, numerics_id;
  KvLayout layout;
  uint64_t ring_bytes = 0;
  uint32_t protocol_min = kProtocolMin, protocol_max = kProtocolMax;
};
struct Reserve { GenerationRequest request; };
struct Push {
  RequestId request;
  Epoch epoch = 0;
  int ordinal = 0, first_layer = 0, layers = 0;
  uint64_t offset = 0, bytes = 0, checksum = 0;
  bool checked = true;  // checksum is set
};
struct Commit {
  RequestId request;
  Epoch epoch = 0;
  std::vector<SampledToken> first_tokens;
  std::vector<uint8_t> ended;
};
struct CancelReservation { RequestId request; Epoch epoch = 0; };
// Decode -> prefill.
struct HelloReply { Status status; };
struct ReserveReply {
  RequestId request;
  Epoch epoch = 0;
  Status status;
  int cached_blocks = 0;
};
struct PushReply {  // the slot is free again; bad: the checksum did not match, send it again
  RequestId request;
  Epoch epoch = 0;
  uint64_t offset = 0;
  bool bad = false;
};
struct Ack { RequestId request; Epoch epoch = 0; };

using PeerMessage = std::variant<PeerHello, Reserve, Push, Commit, CancelReservation, HelloReply, ReserveReply, PushReply, Ack>;

template <typename A> void Visit(A& a, PeerHello& x) {
  a(x.worker, x.incarnation, x.receiver, x.model, x.weight_digest, x.numerics_id, x.layout, x.ring_bytes, x.protocol_min, x.protocol_max);
}
template <typename A> void Visit(A& a, Reserve& x) { a(x.request); }
template <typename A> void Visit(A& a, Push& x) { a(x.request, x.epoch, x.ordinal, x.first_layer, x.layers, x.offset, x.bytes, x.checksum, x.checked); }
template <typename A> void Visit(A& a, Commit& x) { a(x.request, x.epoch, x.first_tokens, x.ended); }
template <typename A> void Visit(A& a, CancelReservation& x) { a(x.request, x.epoch); }
template <typename A> void Visit(A& a, HelloReply& x) { a(x.status); }
template <typename A> void Visit(A& a, ReserveReply& x) { a(x.request, x.epoch, x.status, x.cached_blocks); }
template <typename A> void Visit(A& a, PushReply& x) { a(x.request, x.epoch, x.offset, x.bad); }
template <typename A> void Visit(A& a, Ack& x) { a(x.request, x.epoch); }

// std::variant is not in our namespace: the tag is written and read here.
inline std::string EncodePeer(PeerMessage message) {
  base::Writer w;
  uint8_t kind = static_cast<uint8_t>(message.index());
  w(kind);
  std::visit([&](auto& m) { w(m); }, message);
  return w.Take();
}
template <size_t I = 0>
bool EmplaceKind(PeerMessage& out, uint8_t kind) {
  if constexpr (I < std::variant_size_v<PeerMessage>) {
    if (kind == I) return out.emplace<I>(), true;
    return EmplaceKind<I + 1>(out, kind);
  }
  return false;
}
inline StatusOr<PeerMessage> DecodePeer(std::string_view bytes) {
  base::Reader r(bytes);
  uint8_t kind = 255;
  PeerMessage out;
  r(kind);
  if (!EmplaceKind(out, kind)) return absl::InvalidArgumentError("a peer sent a message of an unknown kind");
  std::visit([&](auto& m) { r(m); }, out);
  if (!r.ok()) return absl::InvalidArgumentError("a peer sent a message that is cut short");
  return out;
}

}  // namespace tokenworks::kv_transfer
