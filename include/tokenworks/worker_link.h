// SPDX-License-Identifier: Apache-2.0
// The seam between the router and one worker, wherever it runs: in this process, or behind a stream.
#pragma once

#include <functional>

#include "tokenworks/status.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks {

// Thread-safe. A link stays for the router's life and reconnects by itself.
class WorkerLink {
 public:
  // Called from any thread, never two at once, never inside Send. The first message of a connection has `hello`.
  struct Events {
    // False asks the link to pause: it hands out nothing more until Resume (no message is lost).
    std::function<bool(FromWorker)> message;
    // The connection that said hello is gone; nothing of it comes later.
    std::function<void(Status)> lost;
  };

  virtual ~WorkerLink() = default;
  // Once, before anything else. After Stop (or the destructor) has returned, no event is running or will come.
  virtual void Start(Events events) = 0;
  virtual void Stop() = 0;
  // Never blocks. Without a connection the message is dropped: the router hears `lost` and decides.
  virtual void Send(ToWorker message) = 0;
  virtual void Resume() {}
};

}  // namespace tokenworks
