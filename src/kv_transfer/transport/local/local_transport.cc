// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/transport/local/local_transport.h"

#include <algorithm>

#include "kv_transfer/staging_space.h"

namespace tokenworks::kv_transfer {
namespace {

// The memory that both ends of a connection see.
struct Staging {
  explicit Staging(uint64_t bytes) : memory(bytes), space(bytes) {}
  std::vector<std::byte> memory;
  StagingSpace space;
};

}  // namespace

class LocalConnection final : public PeerConnection {
 public:
  LocalConnection(std::shared_ptr<Staging> staging, bool dialled) : staging_(std::move(staging)), dialled_(dialled) {}
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

  std::span<std::byte> staging() override { return dialled_ ? std::span(staging_->memory) : std::span<std::byte>(); }
  std::optional<StagingSlot> TakeSlot(uint64_t bytes) override {
    const auto offset = staging_->space.Take(bytes);
    if (!offset) return std::nullopt;
    return StagingSlot{*offset, std::span(staging_->memory).subspan(*offset, bytes)};
  }
  void GiveBack(uint64_t offset) override { staging_->space.GiveBack(offset); }
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
  const bool dialled_;
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

StatusOr<std::shared_ptr<PeerConnection>> LocalTransport::Dial(const std::string& address, uint64_t staging_bytes) {
  const auto it = hub_.listeners_.find(address);
  if (it == hub_.listeners_.end()) return absl::UnavailableError("nobody listens on " + address);
  const auto memory = std::make_shared<Staging>(staging_bytes);
  const auto near = std::make_shared<LocalConnection>(memory, true),
             far = std::make_shared<LocalConnection>(memory, false);
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
