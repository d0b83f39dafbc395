// SPDX-License-Identifier: Apache-2.0
// Whole messages or none: in pieces, with descriptors, over-long, cut off.
#include "platform/base/framed_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <fstream>
#include <future>

namespace tokenworks::base {
namespace {

// What a socket's reader has brought, awaited.
class Inbox {
 public:
  void Start(FramedSocket& socket) {
    socket.Start([this](std::string m, UniqueFd fd) { Put(std::move(m), std::move(fd)); }, [this] { Close(); });
  }
  std::string Next(UniqueFd* fd = nullptr) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !messages_.empty(); });
    if (messages_.empty()) return "closed";
    auto [message, descriptor] = std::move(messages_.front());
    messages_.erase(messages_.begin());
    if (fd != nullptr) *fd = std::move(descriptor);
    return message;
  }

 private:
  void Put(std::string m, UniqueFd fd) {
    const std::lock_guard lock(mutex_);
    messages_.emplace_back(std::move(m), std::move(fd));
    changed_.notify_all();
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<std::string, UniqueFd>> messages_;
  bool closed_ = false;
};

// A framed socket and the raw other end.
struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    raw = UniqueFd(ends[0]);
    inbox = std::make_unique<Inbox>();
    socket = std::make_unique<FramedSocket>(UniqueFd(ends[1]));
  }
  void Write(const std::string& bytes) {
    EXPECT_EQ(write(raw.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  UniqueFd raw;
  std::unique_ptr<Inbox> inbox;
  std::unique_ptr<FramedSocket> socket;  // after the inbox: its reader ends first
};

std::string Frame(const std::string& message) {
  const uint32_t size = static_cast<uint32_t>(message.size());
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + message;
}

TEST(FramedSocket, ReassemblesPieces) {
  Pair p;
  p.inbox->Start(*p.socket);
  for (const char c : Frame("hello")) p.Write(std::string(1, c));
  EXPECT_EQ(p.inbox->Next(), "hello");
  p.Write(Frame("") + Frame("two") + Frame("three").substr(0, 6));
  EXPECT_EQ(p.inbox->Next(), "");
  EXPECT_EQ(p.inbox->Next(), "two");
  p.Write(Frame("three").substr(6));
  EXPECT_EQ(p.inbox->Next(), "three");
}

TEST(FramedSocket, AMessageCutOffByTheEndIsNone) {
  Pair p;
  p.inbox->Start(*p.socket);
  p.Write(Frame("whole") + Frame("half of it").substr(0, 8));
  p.raw = UniqueFd();
  EXPECT_EQ(p.inbox->Next(), "whole");
  EXPECT_EQ(p.inbox->Next(), "closed");
}

TEST(FramedSocket, AnImpossibleLengthClosesAndReservesNothing) {
  Pair p;
  p.inbox->Start(*p.socket);
  const uint32_t size = kMaxFrameBytes + 1;
  p.Write(std::string(reinterpret_cast<const char*>(&size), sizeof size));
  EXPECT_EQ(p.inbox->Next(), "closed");
  EXPECT_LT(send(p.raw.get(), "x", 1, MSG_NOSIGNAL), 0) << "a peer that goes on must not wait for a reader";
}

TEST(FramedSocket, DescriptorsBeyondOneAreNotKeptOpen) {
  Pair p;
  p.inbox->Start(*p.socket);
  int pipes[2][2];
  ASSERT_EQ(pipe(pipes[0]) + pipe(pipes[1]), 0);
  const std::string frame = Frame("two");
  iovec part{const_cast<char*>(frame.data()), frame.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const int fds[2] = {pipes[0][1], pipes[1][1]};
  std::memcpy(CMSG_DATA(c), fds, sizeof fds);
  ASSERT_GT(sendmsg(p.raw.get(), &header, 0), 0);
  {
    UniqueFd received;
    EXPECT_EQ(p.inbox->Next(&received), "two");
  }
  for (auto& ends : pipes) {
    close(ends[1]);
    char byte;
    EXPECT_EQ(read(ends[0], &byte, 1), 0) << "the write end is still open somewhere";
    close(ends[0]);
  }
}

TEST(FramedSocket, MessagesLargerThanTheKernelsBufferArriveWhole) {
  Pair a, b;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  Inbox inbox;
  FramedSocket left((UniqueFd(ends[0]))), right((UniqueFd(ends[1])));
  inbox.Start(right);
  std::string large(5 << 20, 'x');
  for (size_t i = 0; i < large.size(); i += 4096) large[i] = static_cast<char>('a' + i / 4096 % 26);
  std::thread other([&] { EXPECT_TRUE(left.Send("small")); });
  EXPECT_TRUE(left.Send(large));
  other.join();
  std::string first = inbox.Next(), second = inbox.Next();
  if (first == "small") std::swap(first, second);
  EXPECT_EQ(first, large);
  EXPECT_EQ(second, "small");
}

TEST(FramedSocket, DescriptorsTravelBesideTheirMessage) {
  int ends[2], pipe_ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ASSERT_EQ(pipe(pipe_ends), 0);
  const UniqueFd in(pipe_ends[0]), out(pipe_ends[1]);
  Inbox inbox;
  FramedSocket left((UniqueFd(ends[0]))), right((UniqueFd(ends[1])));
  inbox.Start(right);
  ASSERT_TRUE(left.Send("with", out.get()));
  ASSERT_TRUE(left.Send("without"));
  UniqueFd received;
  EXPECT_EQ(inbox.Next(&received), "with");
  ASSERT_GE(received.get(), 0);
  EXPECT_EQ(write(received.get(), "x", 1), 1);
  char c = 0;
  EXPECT_EQ(read(in.get(), &c, 1), 1);
  EXPECT_EQ(c, 'x');
  received = UniqueFd();
  EXPECT_EQ(inbox.Next(&received), "without");
  EXPECT_LT(received.get(), 0);
}

TEST(FramedSocket, SendingToAPeerThatIsGoneFails) {
  Pair p;
  p.raw = UniqueFd();
  EXPECT_FALSE(p.socket->Send("anyone?"));
}

TEST(FramedSocket, MayEndInsideItsOwnCallback) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  FramedSocket left((UniqueFd(ends[0])));
  auto right = std::make_unique<FramedSocket>(UniqueFd(ends[1]));
  std::promise<void> ended;
  bool closed = false;
  right->Start([&](std::string, UniqueFd) { right.reset(), ended.set_value(); }, [&] { closed = true; });
  ASSERT_TRUE(left.Send("go"));
  ended.get_future().wait();
  EXPECT_FALSE(closed) << "no callback follows";
}

TEST(FramedListener, AcceptsReplacesAnOldFileAndCleansUp) {
  char folder[] = "/tmp/tokenworks-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/s";
  EXPECT_EQ(FramedSocket::Connect(path).status().code(), StatusCode::kUnavailable);
  std::ofstream(path) << "old";
  std::promise<UniqueFd> accepted;
  auto listener = FramedListener::Start(path, [&](UniqueFd fd) { accepted.set_value(std::move(fd)); });
  ASSERT_TRUE(listener.ok()) << listener.status();
  auto connected = FramedSocket::Connect(path);
  ASSERT_TRUE(connected.ok());
  EXPECT_GE(accepted.get_future().get().get(), 0);
  listener->reset();
  EXPECT_NE(access(path.c_str(), F_OK), 0);
  EXPECT_EQ(FramedListener::Start("/tmp/" + std::string(200, 'x'), [](UniqueFd) {}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(FramedListener::Start(std::string(folder) + "/absent/s", [](UniqueFd) {}).status().code(),
            StatusCode::kUnavailable);
  rmdir(folder);
}

}  // namespace
}  // namespace tokenworks::base
