// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/peer_codec.h"

#include <limits>

#include "peer.pb.h"
#include "platform/rpc/request_codec.h"

namespace tokenworks::kv_transfer {
namespace {

using rpc::FromWire;
using rpc::ToWire;

struct Encoder {
  peer::PeerMessage& out;
  TimePoint now;

  void operator()(const PeerHello& m) const {
    peer::Hello& h = *out.mutable_hello();
    h.set_worker(m.worker);
    h.set_incarnation(m.incarnation);
    h.set_receiver(m.receiver);
    h.set_model(m.model);
    h.set_weight_digest(m.weight_digest);
    h.set_numerics_id(m.numerics_id);
    h.set_group_layers(m.group_layers);
    ToWire(m.layout, h.mutable_layout());
    h.mutable_protocol()->set_min(m.protocol_min);
    h.mutable_protocol()->set_max(m.protocol_max);
  }
  void operator()(const Reserve& m) const { ToWire(m.request, now, out.mutable_reserve()->mutable_request()); }
  void operator()(const Push& m) const {
    peer::Push& p = *out.mutable_push();
    p.set_request(m.request.value);
    p.set_epoch(m.epoch);
    p.set_lease(m.lease);
    p.set_ordinal(m.ordinal);
    p.set_blocks(m.blocks);
    p.set_group(m.group);
    p.set_offset(m.offset);
    p.set_bytes(m.bytes);
    p.mutable_checksums()->Add(m.checksums.begin(), m.checksums.end());
  }
  void operator()(const Commit& m) const {
    peer::Commit& c = *out.mutable_commit();
    c.set_request(m.request.value);
    c.set_epoch(m.epoch);
    c.set_lease(m.lease);
    for (const SampledToken& t : m.first_tokens) ToWire(t, c.add_first_tokens());
    for (const bool ended : m.ended) c.add_ended(ended);
  }
  void operator()(const CancelReservation& m) const {
    out.mutable_cancel()->set_request(m.request.value);
    out.mutable_cancel()->set_epoch(m.epoch);
  }
  void operator()(const HelloReply& m) const { ToWire(m.status, out.mutable_hello_reply()->mutable_status()); }
  void operator()(const ReserveReply& m) const {
    peer::ReserveReply& r = *out.mutable_reserve_reply();
    r.set_request(m.request.value);
    r.set_epoch(m.epoch);
    r.set_lease(m.lease);
    ToWire(m.status, r.mutable_status());
    r.set_cached_blocks(m.cached_blocks);
  }
  void operator()(const PushReply& m) const {
    peer::PushReply& r = *out.mutable_push_reply();
    r.set_request(m.request.value);
    r.set_epoch(m.epoch);
    r.set_offset(m.offset);
    for (const PushVerdict v : m.verdicts) r.add_verdicts(static_cast<uint32_t>(v));
  }
  void operator()(const Ack& m) const {
    peer::Ack& a = *out.mutable_ack();
    a.set_request(m.request.value);
    a.set_epoch(m.epoch);
    ToWire(m.status, a.mutable_status());
  }
};

PeerHello Decode(const peer::Hello& h) {
  return {h.worker(),      h.incarnation(),      h.receiver(),     h.model(),          h.weight_digest(),
          h.numerics_id(), FromWire(h.layout()), h.group_layers(), h.protocol().min(), h.protocol().max()};
}

StatusOr<PeerMessage> Decode(const peer::Push& p) {
  if (p.blocks() < 1 || (p.checksums_size() != 0 && p.checksums_size() != p.blocks()))
    return absl::InvalidArgumentError("a peer pushed no blocks, or checksums of some of them only");
  return Push{{p.request()}, p.epoch(),  p.lease(),
              p.ordinal(),   p.blocks(), p.group(),
              p.offset(),    p.bytes(),  {p.checksums().begin(), p.checksums().end()}};
}

StatusOr<PeerMessage> Decode(const peer::Commit& c) {
  Commit out{{c.request()}, c.epoch(), c.lease(), {}, {c.ended().begin(), c.ended().end()}};
  if (c.first_tokens_size() != c.ended_size())
    return absl::InvalidArgumentError("a peer committed a hand-off with tokens for some of its sequences only");
  for (const auto& t : c.first_tokens()) out.first_tokens.push_back(FromWire(t));
  return out;
}

StatusOr<PeerMessage> Decode(const peer::PushReply& r) {
  PushReply out{{r.request()}, r.epoch(), r.offset(), std::vector<PushVerdict>(r.verdicts_size())};
  for (int i = 0; i < r.verdicts_size(); ++i)
    TW_RETURN_IF_ERROR(rpc::EnumFromWire(r.verdicts(i), PushVerdict::kUnknown, "verdict", &out.verdicts[i]));
  return out;
}

}  // namespace

std::string EncodePeer(const PeerMessage& message, TimePoint now) {
  peer::PeerMessage out;
  std::visit(Encoder{out, now}, message);
  return out.SerializeAsString();
}

StatusOr<PeerMessage> DecodePeer(std::string_view bytes, TimePoint now) {
  peer::PeerMessage in;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return absl::InvalidArgumentError("a peer sent bytes that are no message");
  switch (in.message_case()) {
    case peer::PeerMessage::kHello:
      return Decode(in.hello());
    case peer::PeerMessage::kReserve: {
      Reserve out;
      TW_RETURN_IF_ERROR(FromWire(in.reserve().request(), now, &out.request));
      return out;
    }
    case peer::PeerMessage::kPush:
      return Decode(in.push());
    case peer::PeerMessage::kCommit:
      return Decode(in.commit());
    case peer::PeerMessage::kCancel:
      return CancelReservation{{in.cancel().request()}, in.cancel().epoch()};
    case peer::PeerMessage::kHelloReply:
      return HelloReply{FromWire(in.hello_reply().status())};
    case peer::PeerMessage::kReserveReply: {
      const peer::ReserveReply& r = in.reserve_reply();
      return ReserveReply{{r.request()}, r.epoch(), r.lease(), FromWire(r.status()), r.cached_blocks()};
    }
    case peer::PeerMessage::kPushReply:
      return Decode(in.push_reply());
    case peer::PeerMessage::kAck:
      return Ack{{in.ack().request()}, in.ack().epoch(), FromWire(in.ack().status())};
    case peer::PeerMessage::MESSAGE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("a peer sent a message of an unknown kind");
}

}  // namespace tokenworks::kv_transfer
