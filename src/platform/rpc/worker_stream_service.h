// SPDX-License-Identifier: Apache-2.0
// The worker's end of the router-worker stream: a gRPC server on a Unix socket that only moves messages.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tokenworks/status.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::rpc {

// Thread-safe. One router stream at a time; a newer one replaces it.
class WorkerStreamServer {
 public:
  struct Events {
    // What a new stream hears first. Called from gRPC's threads; must not block.
    std::function<WorkerHello()> hello;
    // Called from gRPC's threads, one message after the other; must not block, nor call Stop.
    std::function<void(ToWorker)> received;
  };

  // Listens on unix:socket_path (at most 107 bytes; an old file there is replaced). Unavailable says why not.
  static StatusOr<std::unique_ptr<WorkerStreamServer>> Start(const std::string& socket_path, Events events);
  ~WorkerStreamServer();  // Stop

  // Never blocks; without a stream the message is dropped. While a write is under way messages gather and leave
  // as one; a router that lets more than kPendingBytesMax gather loses its stream.
  void Send(const FromWorker& message);
  // Ends the stream and the server; after it no event comes.
  void Stop();

 private:
  class Stream;
  class Service;
  struct Impl;
  explicit WorkerStreamServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tokenworks::rpc
