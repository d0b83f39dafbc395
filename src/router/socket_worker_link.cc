// SPDX-License-Identifier: Apache-2.0
#include "router/socket_worker_link.h"

#include "platform/base/worker_messages.h"

namespace tokenworks::router {
namespace {
constexpr auto kReconnectAfter = std::chrono::milliseconds(50);
}

void SocketWorkerLink::Start(Events events) {
  events_ = std::move(events);
  thread_ = std::thread([this] { Run(); });
}

void SocketWorkerLink::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (socket_) socket_->Close();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void SocketWorkerLink::Send(ToWorker message) {
  std::shared_ptr<base::FramedSocket> socket;
  {
    std::lock_guard lock(mutex_);
    socket = socket_;
  }
  if (socket) socket->Send(base::Encode(message));
}

void SocketWorkerLink::Run() {
  while (true) {
    auto fd = base::FramedSocket::Connect(path_);
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    if (!fd.ok()) {
      changed_.wait_for(lock, kReconnectAfter, [&] { return stopping_; });
      continue;
    }
    auto socket = std::make_shared<base::FramedSocket>(std::move(*fd));
    socket_ = socket;
    closed_ = false;
    bool said_hello = false;
    socket->Start(
        [&](std::string bytes, base::UniqueFd) {
          auto message = base::Decode<FromWorker>(bytes);
          if (!message.ok()) return;
          said_hello |= message->hello.has_value();
          events_.message(std::move(*message));
        },
        [&] {
          std::lock_guard inner(mutex_);
          closed_ = true;
          changed_.notify_all();
        });
    changed_.wait(lock, [&] { return closed_; });
    socket_.reset();
    const bool stop = stopping_;
    lock.unlock();
    socket.reset();
    if (said_hello && !stop) events_.lost(absl::UnavailableError("its process closed the connection"));
    if (stop) return;
  }
}

}  // namespace tokenworks::router
