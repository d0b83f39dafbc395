// SPDX-License-Identifier: Apache-2.0
// A worker in another process of this host, over its Unix socket; reconnects by itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "platform/base/framed_socket.h"
#include "tokenworks/worker_link.h"

namespace tokenworks::router {

class SocketWorkerLink final : public WorkerLink {
 public:
  explicit SocketWorkerLink(std::string path) : path_(std::move(path)) {}
  ~SocketWorkerLink() override { Stop(); }
  void Start(Events events) override;
  void Stop() override;
  void Send(ToWorker message) override;

 private:
  void Run();
  const std::string path_;
  Events events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<base::FramedSocket> socket_;
  bool closed_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace tokenworks::router
