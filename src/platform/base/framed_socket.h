// SPDX-License-Identifier: Apache-2.0
// Whole messages (length before bytes) over a Unix stream socket, with a file descriptor beside one if wanted.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "platform/base/unique_fd.h"
#include "tokenworks/status.h"

namespace tokenworks::base {

inline constexpr uint32_t kMaxFrameBytes = 64u << 20;

// One end of a connection. Send from any thread; a thread of its own reads.
class FramedSocket {
 public:
  using OnMessage = std::function<void(std::string message, UniqueFd fd)>;
  using OnClosed = std::function<void()>;

  // Unavailable when nobody listens.
  static StatusOr<UniqueFd> Connect(const std::string& path);
  explicit FramedSocket(UniqueFd fd) : state_(std::make_shared<State>(std::move(fd))) {}
  ~FramedSocket();  // Close, then waits for the reader; from inside a callback it does not wait, and none follows

  // Once. The callbacks run on the reader's thread; closed is the last one.
  void Start(OnMessage message, OnClosed closed);
  // False when the connection is gone, or the message is longer than a frame may be.
  bool Send(const std::string& message, int fd = -1);
  void Close();

 private:
  // What the reader needs also when the socket object is gone.
  struct State {
    explicit State(UniqueFd f) : fd(std::move(f)) {}
    UniqueFd fd;
    std::atomic<bool> gone = false;
  };
  static void Read(State& state, const OnMessage& message, const OnClosed& closed);
  std::shared_ptr<State> state_;
  std::mutex write_mutex_;
  std::thread reader_;
};

// Accepts connections on a Unix socket; an old file at the path is replaced.
class FramedListener {
 public:
  static StatusOr<std::unique_ptr<FramedListener>> Start(const std::string& path,
                                                         std::function<void(UniqueFd)> accepted);
  ~FramedListener();

 private:
  FramedListener(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  UniqueFd fd_;
  std::string path_;
  std::thread thread_;
};

}  // namespace tokenworks::base
