// SPDX-License-Identifier: Apache-2.0
// The host as a device: streams that run beside the caller, events, graphs that keep what they were given.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "platform/device/buffer.h"
#include "platform/device/host_stream.h"
#include "platform/device/pinned.h"

namespace tokenworks::device {
namespace {

class HostDeviceTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { stream_ = *device_->CreateStream(); }
  void TearDown() override { device_->Destroy(stream_); }
  void Do(std::function<void()> work) { static_cast<HostStream*>(stream_.handle)->Enqueue(std::move(work)); }

  std::unique_ptr<Device> device_ = OpenHostDevice({.late = GetParam()});
  Stream stream_;
};

TEST_P(HostDeviceTest, AStreamRunsInOrderAndBesideItsCaller) {
  std::atomic<bool> may_go = false;
  std::vector<int> order(100);
  std::atomic<int> done = 0;
  bool after = false;
  Do([&] { may_go.wait(false); });
  for (int i = 0; i < 100; ++i) Do([&, i] { order[i] = done++; });
  const auto event = OwnedEvent::Create(*device_);
  ASSERT_TRUE(device_->Record(event->get(), stream_).ok());
  Do([&] { after = true; });
  may_go = true;  // a stream that ran in Enqueue would never come here
  may_go.notify_all();
  ASSERT_TRUE(device_->Wait(event->get()).ok());
  EXPECT_EQ(done, 100);
  ASSERT_TRUE(device_->Synchronize(stream_).ok());
  EXPECT_EQ(done, 100);
  EXPECT_TRUE(after);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST_P(HostDeviceTest, CopiesOfPinnedMemoryComeLaterThoseOfPlainMemoryAtOnce) {
  auto on_device = Buffer<int>::Create(*device_, 1);
  auto pinned = Pinned<int>::Create(*device_, 1);
  std::atomic<bool> may_go = false;
  Do([&] { may_go.wait(false); });
  pinned->data()[0] = 1;
  ASSERT_TRUE(device_->Copy(on_device->data(), pinned->data(), sizeof(int), stream_).ok());
  pinned->data()[0] = 2;  // too early: the copy has not been made
  may_go = true;
  may_go.notify_all();
  int seen = 0;
  ASSERT_TRUE(device_->Copy(&seen, on_device->data(), sizeof(int), stream_).ok());
  EXPECT_EQ(seen, 2) << "a plain copy has been made when the call returns, after all before it";
}

TEST_P(HostDeviceTest, APinnedRangeIsKnownUntilItIsUnpinned) {
  std::vector<std::byte> mine(64);
  auto on_device = Buffer<std::byte>::Create(*device_, 64);
  ASSERT_TRUE(device_->Pin(mine).ok());
  std::atomic<bool> may_go = false;
  Do([&] { may_go.wait(false); });
  ASSERT_TRUE(device_->Copy(on_device->data(), mine.data() + 32, 32, stream_).ok());  // returns though nothing may go
  may_go = true;
  may_go.notify_all();
  ASSERT_TRUE(device_->Synchronize(stream_).ok());
  device_->Unpin(mine);
  mine[0] = std::byte{7};
  ASSERT_TRUE(device_->Copy(on_device->data(), mine.data(), 1, stream_).ok());
  EXPECT_EQ(on_device->data()[0], std::byte{7});
}

TEST_P(HostDeviceTest, AGraphRunsWhatWasCapturedAsOftenAsItIsLaunched) {
  int argument = 5, sum = 0;
  const auto graph = device_->Capture(stream_, [&] {
    Do([&sum, argument] { sum += argument; });
    return OkStatus();
  });
  ASSERT_TRUE(graph.ok());
  ASSERT_TRUE(device_->Synchronize(stream_).ok());
  EXPECT_EQ(sum, 0) << "capturing runs nothing";
  argument = 100;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(device_->Launch(*graph, stream_).ok());
  ASSERT_TRUE(device_->Synchronize(stream_).ok());
  EXPECT_EQ(sum, 15);
  device_->Destroy(*graph);
}

INSTANTIATE_TEST_SUITE_P(Timing, HostDeviceTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "late" : "prompt"; });

TEST(HostDevice, ALateStreamStartsNothingBeforeSomebodyWaits) {
  const auto device = OpenHostDevice({.late = true});
  const Stream stream = *device->CreateStream();
  const auto first = OwnedEvent::Create(*device);
  std::vector<int> done;
  auto& queue = *static_cast<HostStream*>(stream.handle);
  queue.Enqueue([&] { done.push_back(1); });
  ASSERT_TRUE(device->Record(first->get(), stream).ok());
  queue.Enqueue([&] { done.push_back(2); });
  for (int i = 0; i < 100; ++i) std::this_thread::yield();
  EXPECT_TRUE(done.empty());
  ASSERT_TRUE(device->Wait(first->get()).ok());
  EXPECT_EQ(done, (std::vector<int>{1})) << "no more than what was waited for";
  device->Destroy(stream);
}

}  // namespace
}  // namespace tokenworks::device
