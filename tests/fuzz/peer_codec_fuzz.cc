// SPDX-License-Identifier: Apache-2.0
// Messages of the other end of a hand-off: refused, or decoded into what encodes to a fixed point.
#include <google/protobuf/stubs/logging.h>

#include "fuzz_target.h"
#include "kv_transfer/peer_codec.h"

using namespace tokenworks;
using namespace tokenworks::kv_transfer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const google::protobuf::LogSilencer quiet;  // it reports every string that is not UTF-8
  const TimePoint now = ManualClock().Now();
  const auto message = DecodePeer(std::string_view(reinterpret_cast<const char*>(data), size), now);
  if (!message.ok()) {
    FUZZ_EXPECT(!message.status().message().empty());
    return 0;
  }
  const std::string bytes = EncodePeer(*message, now);
  const auto again = DecodePeer(bytes, now);
  FUZZ_EXPECT(again.ok());
  FUZZ_EXPECT(again->index() == message->index());
  FUZZ_EXPECT(EncodePeer(*again, now) == bytes);
  return 0;
}

std::vector<std::string> Seeds() {
  const TimePoint now = ManualClock().Now();
  Reserve reserve;
  reserve.request.prompt = {1, 2, 3};
  reserve.request.deadline = now + std::chrono::seconds(5);
  const PeerMessage messages[] = {
      PeerHello{"prefill-0", 1, 2, "m", "w", "n",
                KvLayout{16, 64, {{KvLayerKind::kAttention, 2, 3, 4, KvDtype::kF16, 5, 6, "io"}}}, 4, 1, 9},
      reserve,
      Push{{7}, 1, 2, 3, 2, 4, 5, 6, {0, 8}},
      Commit{{7}, 1, 2, {{5, -0.5f, {{6, -1.f}}}, {8, 0, {}}}, {true, false}},
      CancelReservation{{9}, 4},
      HelloReply{absl::FailedPreconditionError("no")},
      ReserveReply{{9}, 4, 5, OkStatus(), 6},
      PushReply{{9}, 4, 5, {PushVerdict::kStored, PushVerdict::kDamaged}},
      Ack{{9}, 4, absl::UnavailableError("gone")}};
  std::vector<std::string> seeds;
  for (const PeerMessage& m : messages) seeds.push_back(EncodePeer(m, now));
  return seeds;
}
