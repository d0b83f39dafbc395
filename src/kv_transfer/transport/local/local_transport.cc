// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/transport/local/local_transport.h"

#include <algorithm>

namespace tokenworks::kv_transfer {
namespace {

// The memory that both ends of a connection see.
struct Staging {
  explicit Staging(const StagingSize& size)
      : slot_bytes(size.slot_bytes), memory(size.slot_bytes * static_cast<uint64_t>(size.slots)) {
    for (int i = size.slots - 1; i >= 0; --i) free.push_back(slot_bytes * static_cast<uint64_t>(i));
  }
  const uint64_t slot_bytes;
  std::vector<std::byte> memory;
  std::vector<uint64_t> free;
};

}  // namespace

class LocalConnection final : public PeerConnection {
 public:
  explicit LocalConnection(std::shared_ptr<Staging> staging) : staging_(std::move(staging)) {}
  ~LocalConnection() override { Close(); }

  static void Join(const std::shared_ptr<LocalConnection>& a, const std::shared_ptr<LocalConnection>& b) {
    a->other_ = b, b->other_ = a;
  }

  void Start(Events events) override { events_ = std::move(events), started_ = true; }
  bool Send(const PeerMessage& message) override {
    const auto other = other_.lock();
    if (closing_ || !other || other->closing_) return false;
    other->inbox_.push_back(message);
    return true;
  }
  void Close() override {
    closing_ = true;
    if (const auto other = other_.lock()) other->closing_ = true;
  }

  std::optional<StagingSlot> TakeSlot() override {
    if (staging_->free.empty()) return std::nullopt;
    const uint64_t offset = staging_->free.back();
    staging_->free.pop_back();
    return StagingSlot{offset, std::span(staging_->memory).subspan(offset, staging_->slot_bytes)};
  }
  void GiveBack(uint64_t offset) override { staging_->free.push_back(offset); }
  std::optional<std::span<const std::byte>> Staged(uint64_t offset, uint64_t bytes) const override {
    if (bytes > staging_->memory.size() || offset > staging_->memory.size() - bytes) return std::nullopt;
    return std::span<const std::byte>(staging_->memory).subspan(offset, bytes);
  }

  // What was sent before a close still arrives, then the close.
  bool waits() const { return started_ && !told_closed_ && (!inbox_.empty() || closing_); }
  void DeliverOne(const LocalHub::Inspect& inspect) {
    if (inbox_.empty()) {
      told_closed_ = true;
      return events_.closed();
    }
    PeerMessage message = std::move(inbox_.front());
    inbox_.pop_front();
    if (!inspect || inspect(message) == LocalHub::Fate::kDeliver) events_.message(std::move(message));
  }

 private:
  std::shared_ptr<Staging> staging_;
  std::weak_ptr<LocalConnection> other_;
  Events events_;
  std::deque<PeerMessage> inbox_;
  bool started_ = false, closing_ = false, told_closed_ = false;
};

bool LocalHub::DeliverOne(const std::function<size_t(size_t)>& pick) {
  std::erase_if(ends_, [](const auto& end) { return end.expired(); });
  std::vector<std::shared_ptr<LocalConnection>> waiting;
  for (const auto& weak : ends_)
    if (auto end = weak.lock(); end && end->waits()) waiting.push_back(std::move(end));
  if (waiting.empty()) return false;
  waiting[pick ? pick(waiting.size()) : 0]->DeliverOne(inspect_);
  return true;
}

StatusOr<std::shared_ptr<PeerConnection>> LocalTransport::Dial(const std::string& address, const StagingSize& staging) {
  const auto it = hub_.listeners_.find(address);
  if (it == hub_.listeners_.end()) return absl::UnavailableError("nobody listens on " + address);
  const auto memory = std::make_shared<Staging>(staging);
  const auto near = std::make_shared<LocalConnection>(memory), far = std::make_shared<LocalConnection>(memory);
  LocalConnection::Join(near, far);
  hub_.ends_.push_back(near);
  hub_.ends_.push_back(far);
  it->second(far);
  return near;
}

Status LocalTransport::Listen(const std::string& address,
                              std::function<void(std::shared_ptr<PeerConnection>)> accepted) {
  if (!hub_.listeners_.emplace(address, std::move(accepted)).second)
    return absl::UnavailableError("somebody listens on " + address + " already");
  address_ = address;
  return OkStatus();
}

void LocalTransport::StopListening() {
  if (!address_.empty()) hub_.listeners_.erase(address_);
  address_.clear();
}

}  // namespace tokenworks::kv_transfer
