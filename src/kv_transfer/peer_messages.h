// SPDX-License-Identifier: Apache-2.0
// What the two ends of a hand-off say to each other on their own connection. proto/peer.proto is the same on the wire.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "tokenworks/generation_request.h"
#include "tokenworks/kv_layout.h"
#include "tokenworks/status.h"
#include "tokenworks/token_delta.h"

namespace tokenworks::kv_transfer {

// One reservation of one decode worker; a message that names another one is of an earlier attempt.
using Lease = uint64_t;

// Prefill -> decode. First on every connection.
struct PeerHello {
  WorkerId worker;
  Incarnation incarnation = 0, receiver = 0;  // `receiver`: the incarnation that the sender means to reach
  std::string model, weight_digest, numerics_id;
  KvLayout layout;
  int group_layers = 0;  // layers of each push but the last
  uint32_t protocol_min = kProtocolMin, protocol_max = kProtocolMax;
};
struct Reserve {
  GenerationRequest request;
};
// Layer group `group` of the prompt's blocks ordinal .. + blocks lies in the staging memory, one block after the other.
struct Push {
  RequestId request;
  Epoch epoch = 0;
  Lease lease = 0;
  int ordinal = 0, blocks = 1, group = 0;
  uint64_t offset = 0, bytes = 0;
  std::vector<uint64_t> checksums;  // XXH3-64 of each block's part; empty: none are taken
};
// All pushes have been sent; the sequences go on from these first tokens.
struct Commit {
  RequestId request;
  Epoch epoch = 0;
  Lease lease = 0;
  std::vector<SampledToken> first_tokens;  // one per sequence
  std::vector<bool> ended;                 // this sequence finished with it
};
struct CancelReservation {
  RequestId request;
  Epoch epoch = 0;
};

// Decode -> prefill.
struct HelloReply {
  Status status;
};
struct ReserveReply {
  RequestId request;
  Epoch epoch = 0;
  Lease lease = 0;
  Status status;
  int cached_blocks = 0;  // leading prompt blocks that need no sending
};
enum class PushVerdict : uint8_t {
  kStored,
  kDamaged,  // the checksum did not match: send it again
  kUnknown,  // not of this reservation
};
// The staging memory at `offset` is free again.
struct PushReply {
  RequestId request;
  Epoch epoch = 0;
  uint64_t offset = 0;
  std::vector<PushVerdict> verdicts;  // of each block; none: of no reservation that is open
};
// Ok: the decode worker goes on with the request. Else it has given the reservation up.
struct Ack {
  RequestId request;
  Epoch epoch = 0;
  Status status;
};

using PeerMessage =
    std::variant<PeerHello, Reserve, Push, Commit, CancelReservation, HelloReply, ReserveReply, PushReply, Ack>;

}  // namespace tokenworks::kv_transfer
