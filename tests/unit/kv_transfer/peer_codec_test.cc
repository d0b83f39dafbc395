// SPDX-License-Identifier: Apache-2.0
// Messages between the two ends of a hand-off: each kind keeps its fields, and no number of a peer can do harm.
#include "kv_transfer/peer_codec.h"

#include <gtest/gtest.h>

#include <limits>

#include "peer.pb.h"

namespace tokenworks::kv_transfer {
namespace {

const TimePoint kNow = ManualClock().Now();

template <typename M>
M RoundTrip(const M& in) {
  const auto out = DecodePeer(EncodePeer(in, kNow), kNow);
  EXPECT_TRUE(out.ok()) << out.status();
  EXPECT_TRUE(out.ok() && std::holds_alternative<M>(*out));
  return out.ok() && std::holds_alternative<M>(*out) ? std::get<M>(*out) : M{};
}

TEST(PeerCodec, EveryKindKeepsItsFields) {
  const PeerHello hello =
      RoundTrip(PeerHello{"prefill-0", 1, 2, "m", "w", "n",
                          KvLayout{16, 64, {{KvLayerKind::kAttention, 2, 3, 4, KvDtype::kBf16, 5, 6, "io"}}}, 4, 1, 9});
  EXPECT_EQ(std::tie(hello.worker, hello.incarnation, hello.receiver, hello.model, hello.weight_digest,
                     hello.numerics_id, hello.group_layers, hello.protocol_max),
            std::make_tuple("prefill-0", 1u, 2u, "m", "w", "n", 4, 9u));
  EXPECT_EQ(hello.layout, (KvLayout{16, 64, {{KvLayerKind::kAttention, 2, 3, 4, KvDtype::kBf16, 5, 6, "io"}}}));
  const Push push = RoundTrip(Push{{7}, 1, 2, 3, 2, 4, 5, 6, {0, 9}});
  EXPECT_EQ(std::tie(push.request.value, push.epoch, push.lease, push.ordinal, push.blocks, push.group, push.offset,
                     push.bytes),
            std::make_tuple(7u, 1u, 2u, 3, 2, 4, 5u, 6u));
  EXPECT_EQ(push.checksums, (std::vector<uint64_t>{0, 9})) << "a checksum of zero is one";
  EXPECT_EQ(RoundTrip(Push{}).checksums.size(), 0u);
  const Commit commit = RoundTrip(Commit{{7}, 1, 2, {{5, -0.5f, {{6, -1.f}}}, {8, 0, {}}}, {true, false}});
  EXPECT_EQ(commit.first_tokens, (std::vector<SampledToken>{{5, -0.5f, {{6, -1.f}}}, {8, 0, {}}}));
  EXPECT_EQ(commit.ended, (std::vector<bool>{true, false}));
  EXPECT_EQ(RoundTrip(CancelReservation{{9}, 4}).epoch, 4u);
  EXPECT_EQ(RoundTrip(HelloReply{absl::FailedPreconditionError("no")}).status, absl::FailedPreconditionError("no"));
  const ReserveReply reply = RoundTrip(ReserveReply{{9}, 4, 5, OkStatus(), 6});
  EXPECT_EQ(std::tie(reply.request.value, reply.epoch, reply.lease, reply.cached_blocks),
            std::make_tuple(9u, 4u, 5u, 6));
  const std::vector<PushVerdict> verdicts = {PushVerdict::kStored, PushVerdict::kDamaged, PushVerdict::kUnknown};
  EXPECT_EQ(RoundTrip(PushReply{{9}, 4, 5, verdicts}).verdicts, verdicts);
  EXPECT_EQ(RoundTrip(Ack{{9}, 4, absl::UnavailableError("gone")}).status, absl::UnavailableError("gone"));
}

Reserve WithDeadline(TimePoint deadline) {
  Reserve m;
  m.request.prompt = {1};
  m.request.deadline = deadline;
  return m;
}

TEST(PeerCodec, ADeadlineTravelsAsTheTimeThatIsLeft) {
  const auto bytes = EncodePeer(WithDeadline(kNow + std::chrono::seconds(2)), kNow);
  const TimePoint elsewhere = kNow + std::chrono::hours(99);
  EXPECT_EQ(std::get<Reserve>(*DecodePeer(bytes, elsewhere)).request.deadline, elsewhere + std::chrono::seconds(2));
  EXPECT_EQ(RoundTrip(WithDeadline(TimePoint::max())).request.deadline, TimePoint::max());
  EXPECT_LT(RoundTrip(WithDeadline(kNow - std::chrono::seconds(1))).request.deadline, kNow);
}

// The sum of `now` and a peer's number must stay inside the clock's range, whatever the number is.
TEST(PeerCodec, AnImpossibleTimeLeftIsClamped) {
  peer::PeerMessage wire;
  ASSERT_TRUE(wire.ParseFromString(EncodePeer(WithDeadline(kNow), kNow)));
  const auto decoded = [&](int64_t left) {
    wire.mutable_reserve()->mutable_request()->set_deadline_left_us(left);
    return std::get<Reserve>(*DecodePeer(wire.SerializeAsString(), kNow)).request.deadline;
  };
  for (const int64_t left :
       {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::min() / 1000, int64_t{-1}})
    EXPECT_LT(decoded(left), kNow) << left;
  for (const int64_t left :
       {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max() / 1000, int64_t{1}})
    EXPECT_GT(decoded(left), kNow) << left;
  // What was clamped can be sent on.
  EXPECT_LT(RoundTrip(WithDeadline(decoded(std::numeric_limits<int64_t>::min()))).request.deadline, kNow);
}

TEST(PeerCodec, RefusesWhatNoPeerOfOursWrites) {
  EXPECT_EQ(DecodePeer("", kNow).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodePeer("\xFF\xFF\xFF", kNow).status().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(DecodePeer(EncodePeer(Reserve{}, kNow), kNow).ok()) << "no prompt";
  EXPECT_FALSE(DecodePeer(EncodePeer(Commit{{1}, 1, 1, {{5, 0, {}}}, {}}, kNow), kNow).ok())
      << "tokens without their ends";
  peer::PeerMessage wire;
  wire.mutable_push_reply()->add_verdicts(3);
  EXPECT_FALSE(DecodePeer(wire.SerializeAsString(), kNow).ok());
  for (const Push& push : {Push{{1}, 1, 1, 0, 0, 0, 0, 64, {}}, Push{{1}, 1, 1, 0, -1, 0, 0, 64, {}},
                           Push{{1}, 1, 1, 0, 3, 0, 0, 64, {1, 2}}})
    EXPECT_FALSE(DecodePeer(EncodePeer(push, kNow), kNow).ok()) << push.blocks << " blocks";
}

}  // namespace
}  // namespace tokenworks::kv_transfer
