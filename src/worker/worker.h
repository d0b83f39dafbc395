// SPDX-License-Identifier: Apache-2.0
// One worker with its threads: a control thread around WorkerCore and an engine thread around the executor.
// The owner brings ToWorker messages and takes FromWorker messages.
#pragma once

#include <functional>
#include <memory>

#include "kv_transfer/transport.h"
#include "tokenworks/executor.h"
#include "tokenworks/status.h"
#include "tokenworks/worker_protocol.h"
#include "worker/worker_options.h"

namespace tokenworks::worker {

class Worker {
 public:
  using Emit = std::function<void(FromWorker)>;

  // `emit` is called on the control thread, one message per turn with everything that has accumulated; it must
  // not block. `transport` carries hand-offs (null: none). InvalidArgument or Unavailable for the peer socket.
  static StatusOr<std::unique_ptr<Worker>> Create(WorkerOptions options, std::unique_ptr<Executor> executor,
                                                  std::unique_ptr<kv_transfer::Transport> transport, Emit emit);
  ~Worker();  // Stop()

  // Thread-safe, never blocks.
  void Post(ToWorker message);
  // What the worker says first on a router's stream; with the current role. Thread-safe.
  WorkerHello hello() const;
  // Ends both threads after the step in flight; nothing is emitted afterwards. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit Worker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tokenworks::worker
