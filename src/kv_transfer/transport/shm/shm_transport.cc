// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/transport/shm/shm_transport.h"

#include <cstring>

#include "kv_transfer/peer_codec.h"
#include "kv_transfer/transport/shm/ring.h"

namespace tokenworks::kv_transfer {
namespace {

// The first frame of the dialling end: the ring's size, its descriptor beside it.
constexpr size_t kRingFrameBytes = sizeof(uint64_t);

class ShmConnection final : public PeerConnection {
 public:
  ShmConnection(base::UniqueFd fd, std::unique_ptr<Ring> ring)
      : ring_(std::move(ring)), dialled_(ring_ != nullptr), socket_(std::move(fd)) {}

  bool SendRing() {
    std::string frame(kRingFrameBytes, 0);
    const uint64_t bytes = ring_->bytes();
    std::memcpy(frame.data(), &bytes, sizeof bytes);
    return socket_.Send(frame, ring_->fd());
  }

  void Start(Events events) override {
    socket_.Start([this, message = std::move(events.message)](
                      std::string bytes, base::UniqueFd fd) { OnFrame(bytes, std::move(fd), message); },
                  std::move(events.closed));
  }
  bool Send(const PeerMessage& message) override { return socket_.Send(EncodePeer(message, SteadyClock().Now())); }
  void Close() override { socket_.Close(); }

  std::span<std::byte> staging() override { return dialled_ ? ring_->At(0, ring_->bytes()) : std::span<std::byte>(); }
  std::optional<StagingSlot> TakeSlot(uint64_t bytes) override { return ring_->TakeSlot(bytes); }
  void GiveBack(uint64_t offset) override { ring_->GiveBack(offset); }
  std::optional<std::span<const std::byte>> Staged(uint64_t offset, uint64_t bytes) const override {
    if (!ring_ || !ring_->Contains(offset, bytes)) return std::nullopt;
    return ring_->At(offset, bytes);
  }

 private:
  void OnFrame(const std::string& bytes, base::UniqueFd fd, const std::function<void(PeerMessage)>& deliver) {
    if (!dialled_ && !ring_) {
      if (!OpenRing(bytes, std::move(fd))) socket_.Close();
      return;
    }
    StatusOr<PeerMessage> message = DecodePeer(bytes, SteadyClock().Now());
    if (!message.ok()) return socket_.Close();
    deliver(std::move(*message));
  }

  bool OpenRing(const std::string& frame, base::UniqueFd fd) {
    uint64_t bytes = 0;
    if (frame.size() != kRingFrameBytes || !fd.valid()) return false;
    std::memcpy(&bytes, frame.data(), sizeof bytes);
    StatusOr<std::unique_ptr<Ring>> ring = Ring::Open(std::move(fd), bytes);
    if (!ring.ok()) return false;
    ring_ = std::move(*ring);  // before the first message is delivered: the control thread reads it only after that
    return true;
  }

  std::unique_ptr<Ring> ring_;
  const bool dialled_;
  base::FramedSocket socket_;  // last: its reader ends before the ring goes
};

}  // namespace

StatusOr<std::shared_ptr<PeerConnection>> ShmTransport::Dial(const std::string& address, uint64_t staging_bytes) {
  TW_ASSIGN_OR_RETURN(base::UniqueFd fd, base::FramedSocket::Connect(address));
  TW_ASSIGN_OR_RETURN(std::unique_ptr<Ring> ring, Ring::Make(staging_bytes));
  auto connection = std::make_shared<ShmConnection>(std::move(fd), std::move(ring));
  if (!connection->SendRing())
    return absl::UnavailableError("the connection to " + address +
                                  " closed before the hand-off's memory was handed over");
  return connection;
}

Status ShmTransport::Listen(const std::string& address, std::function<void(std::shared_ptr<PeerConnection>)> accepted) {
  TW_ASSIGN_OR_RETURN(listener_,
                      base::FramedListener::Start(address, [accepted = std::move(accepted)](base::UniqueFd fd) {
                        accepted(std::make_shared<ShmConnection>(std::move(fd), nullptr));
                      }));
  return OkStatus();
}

}  // namespace tokenworks::kv_transfer
