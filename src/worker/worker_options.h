// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "kv_transfer/options.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::worker {

struct WorkerOptions {
  WorkerId id;
  Incarnation incarnation = 0;  // 0: drawn from the clock and the process id
  WorkerRole role = WorkerRole::kMixed;
  // Where peers connect: a Unix socket that is made here (an old file there is replaced). Empty: no hand-offs.
  std::string peer_socket_path;
  std::string model;  // name shown to the router; empty: the executor's
  kv_transfer::HandoffOptions handoff;
  int step_rows_max = 512;
  int chunk_tokens_max = 512;
  int running_max = 256;
  int waiting_max = 512;
  Duration step_target = std::chrono::milliseconds(50);
  bool prefix_cache = true;
  std::string step_log_path;  // JSON lines, one per step; empty: none
  // What the worker's GPU is doing; not set: it has none, or nothing is known. Called on the control thread, must not
  // block.
  std::function<GpuReading()> read_gpu;
  // The executor has said DataLoss: its device computes nothing any more. Called once, on the control thread, when no
  // step is in flight and the failed requests have been told to `emit`; nothing is planned any more. The process is to
  // end, its supervisor starts another.
  std::function<void(const Status&)> on_lost;
};

}  // namespace tokenworks::worker
