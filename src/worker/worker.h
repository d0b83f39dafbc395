// SPDX-License-Identifier: Apache-2.0
// One worker: a control thread around WorkerCore (scheduler, hand-offs, peer sockets) and an engine thread
// around the executor. The owner brings ToWorker messages and takes FromWorker messages.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kv_transfer/options.h"
#include "tokenworks/executor.h"
#include "tokenworks/status.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::worker {

struct WorkerOptions {
  WorkerId id;
  Incarnation incarnation = 0;  // 0: drawn from the clock and the process id
  WorkerRole role = WorkerRole::kMixed;
  // Where peers connect: a Unix socket that Create makes (an old file there is replaced). Empty: no hand-offs.
  std::string peer_socket_path;
  std::string model;            // name shown to the router; empty: the executor's
  kv_transfer::HandoffOptions handoff;
  int step_rows_max = 512;
  int chunk_tokens_max = 512;
  int running_max = 256;
  int waiting_max = 512;
  Duration step_target = std::chrono::milliseconds(50);
  bool prefix_cache = true;
  std::string step_log_path;    // JSON lines, one per step; empty: none
};

class Worker {
 public:
  using Emit = std::function<void(FromWorker)>;

  // `emit` is called on the control thread, one message per turn with everything that has accumulated; it must
  // not block. InvalidArgument, AlreadyExists or PermissionDenied for the socket and the log path.
  static StatusOr<std::unique_ptr<Worker>> Create(WorkerOptions options, std::unique_ptr<Executor> executor, Emit emit);
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
