// SPDX-License-Identifier: Apache-2.0
// What transport.h promises, asked of every wire.
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "kv_transfer/transport/local/local_transport.h"
#include "kv_transfer/transport/shm/shm_transport.h"

namespace tokenworks::kv_transfer {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);

// What one end hears.
class Heard {
 public:
  PeerConnection::Events Events() {
    return {[this](PeerMessage m) { Add(std::move(m)); },
            [this] {
              std::lock_guard lock(mutex_);
              ++closed_;
              changed_.notify_all();
            }};
  }
  bool Wait(const std::function<void()>& pump, size_t messages, int closed) {
    pump();
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return messages_.size() >= messages && closed_ >= closed; });
  }
  std::vector<PeerMessage> messages() {
    std::lock_guard lock(mutex_);
    return messages_;
  }
  int closed() {
    std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  void Add(PeerMessage m) {
    std::lock_guard lock(mutex_);
    messages_.push_back(std::move(m));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<PeerMessage> messages_;
  int closed_ = 0;
};

// A wire with two ends in this process.
struct Wire {
  virtual ~Wire() = default;
  virtual Transport& dialler() = 0;
  virtual Transport& listener() = 0;
  virtual std::string address() = 0;
  virtual void Pump() {}
};
struct LocalWire final : Wire {
  LocalHub hub;
  LocalTransport a{hub}, b{hub};
  Transport& dialler() override { return a; }
  Transport& listener() override { return b; }
  std::string address() override { return "there"; }
  void Pump() override { hub.DeliverAll(); }
};
struct ShmWire final : Wire {
  ShmWire() {
    std::string name = testing::TempDir() + "tw-wire-XXXXXX";
    folder = mkdtemp(name.data());
  }
  ~ShmWire() override { std::filesystem::remove_all(folder); }
  std::string folder;
  ShmTransport a, b;
  Transport& dialler() override { return a; }
  Transport& listener() override { return b; }
  std::string address() override { return folder + "/peer.sock"; }
};

class TransportConformance : public testing::TestWithParam<std::string> {
 protected:
  TransportConformance() {
    if (GetParam() == "local")
      wire_ = std::make_unique<LocalWire>();
    else
      wire_ = std::make_unique<ShmWire>();
  }
  ~TransportConformance() override { wire_->listener().StopListening(); }

  // A connection whose two ends both listen.
  void Connect(uint64_t staging = 256) {
    ASSERT_TRUE(wire_->listener()
                    .Listen(wire_->address(),
                            [this](std::shared_ptr<PeerConnection> c) {
                              c->Start(far_.Events());
                              std::lock_guard lock(mutex_);
                              accepted_ = std::move(c);
                              changed_.notify_all();
                            })
                    .ok());
    auto dialled = wire_->dialler().Dial(wire_->address(), staging);
    ASSERT_TRUE(dialled.ok()) << dialled.status();
    near_end_ = std::move(*dialled);
    near_end_->Start(near_.Events());
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, kPatience, [&] { return accepted_ != nullptr; }));
    far_end_ = accepted_;
  }
  std::function<void()> pump() {
    return [this] { wire_->Pump(); };
  }

  std::unique_ptr<Wire> wire_;
  Heard near_, far_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<PeerConnection> near_end_, far_end_, accepted_;
};

TEST_P(TransportConformance, MessagesArriveInOrderBothWays) {
  Connect();
  for (uint64_t i = 0; i < 300; ++i) {
    ASSERT_TRUE(near_end_->Send(CancelReservation{{i}, 1}));
    ASSERT_TRUE(far_end_->Send(Ack{{i}, 2, absl::UnavailableError("why")}));
  }
  ASSERT_TRUE(far_.Wait(pump(), 300, 0));
  ASSERT_TRUE(near_.Wait(pump(), 300, 0));
  const auto there = far_.messages(), here = near_.messages();
  for (uint64_t i = 0; i < 300; ++i) {
    EXPECT_EQ(std::get<CancelReservation>(there[i]).request.value, i);
    EXPECT_EQ(std::get<Ack>(here[i]).request.value, i);
    EXPECT_EQ(std::get<Ack>(here[i]).status, absl::UnavailableError("why"));
  }
}

TEST_P(TransportConformance, ALongPromptGoesThrough) {
  Connect();
  Reserve reserve;
  reserve.request.prompt.assign(300'000, 49151);
  reserve.request.sampling.seed = 1;
  ASSERT_TRUE(near_end_->Send(reserve));
  ASSERT_TRUE(far_.Wait(pump(), 1, 0));
  EXPECT_EQ(std::get<Reserve>(far_.messages()[0]).request.prompt, reserve.request.prompt);
}

TEST_P(TransportConformance, SlotsRunOutAndComeBack) {
  Connect();
  EXPECT_EQ(near_end_->staging().size(), 256u);
  EXPECT_TRUE(far_end_->staging().empty());
  std::vector<StagingSlot> slots;
  while (auto slot = near_end_->TakeSlot(64)) slots.push_back(*slot);
  ASSERT_EQ(slots.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(slots[i].memory.size(), 64u);
    EXPECT_EQ(slots[i].memory.data(), near_end_->staging().data() + slots[i].offset);
    for (size_t j = 0; j < i; ++j) EXPECT_NE(slots[i].offset, slots[j].offset);
  }
  near_end_->GiveBack(slots[0].offset);
  const auto again = near_end_->TakeSlot(64);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->offset, slots[0].offset);
  EXPECT_FALSE(near_end_->TakeSlot(64));
}

TEST_P(TransportConformance, WhatIsStagedIsSeenByTheOtherEnd) {
  Connect();
  std::vector<StagingSlot> slots;
  while (auto slot = near_end_->TakeSlot(64)) {
    std::memset(slot->memory.data(), static_cast<int>(slots.size() + 1), slot->memory.size());
    slots.push_back(*slot);
  }
  ASSERT_TRUE(near_end_->Send(CancelReservation{}));  // the memory is there when a message has come
  ASSERT_TRUE(far_.Wait(pump(), 1, 0));
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto staged = far_end_->Staged(slots[i].offset, 64);
    ASSERT_TRUE(staged);
    for (const std::byte b : *staged) ASSERT_EQ(b, static_cast<std::byte>(i + 1));
  }
}

TEST_P(TransportConformance, NothingOutsideTheStagingMemoryIsRead) {
  Connect(4096);
  ASSERT_TRUE(near_end_->Send(CancelReservation{}));
  ASSERT_TRUE(far_.Wait(pump(), 1, 0));
  EXPECT_TRUE(far_end_->Staged(0, 4096));
  EXPECT_FALSE(far_end_->Staged(1, 4096));
  EXPECT_FALSE(far_end_->Staged(4097, 0));
  EXPECT_FALSE(far_end_->Staged(UINT64_MAX - 8, 64));
  EXPECT_FALSE(far_end_->Staged(8, UINT64_MAX - 4));
}

TEST_P(TransportConformance, CloseIsHeardOnceAtBothEnds) {
  Connect();
  far_end_->Close();
  ASSERT_TRUE(near_.Wait(pump(), 0, 1));
  ASSERT_TRUE(far_.Wait(pump(), 0, 1));
  near_end_->Close();
  pump()();
  EXPECT_EQ(near_.closed(), 1);
  EXPECT_EQ(far_.closed(), 1);
  EXPECT_FALSE(near_end_->Send(CancelReservation{}));
}

TEST_P(TransportConformance, WhatWasSentBeforeACloseArrives) {
  Connect();
  for (uint64_t i = 0; i < 20; ++i) near_end_->Send(CancelReservation{{i}, 1});
  near_end_.reset();
  ASSERT_TRUE(far_.Wait(pump(), 20, 1));
}

TEST_P(TransportConformance, NobodyThere) {
  const auto dialled = wire_->dialler().Dial(wire_->address() + "-nobody", 64);
  EXPECT_EQ(dialled.status().code(), StatusCode::kUnavailable);
}

TEST_P(TransportConformance, AfterStopListeningNobodyIsThere) {
  Connect();
  wire_->listener().StopListening();
  EXPECT_FALSE(wire_->dialler().Dial(wire_->address(), 64).ok());
  ASSERT_TRUE(near_end_->Send(CancelReservation{}));  // what stands goes on
  EXPECT_TRUE(far_.Wait(pump(), 1, 0));
}

INSTANTIATE_TEST_SUITE_P(Wires, TransportConformance, testing::Values("local", "shm"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tokenworks::kv_transfer
