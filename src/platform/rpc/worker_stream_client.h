// SPDX-License-Identifier: Apache-2.0
// The router's end of the router-worker stream: dials a worker's Unix socket and keeps dialling.
#pragma once

#include <memory>
#include <string>

#include "tokenworks/clock.h"
#include "tokenworks/worker_link.h"

namespace tokenworks::rpc {

struct WorkerStreamClientOptions {
  std::string socket_path;
  Duration redial_after = std::chrono::milliseconds(50);
};

// One write outstanding, which carries everything that has gathered. One message read ahead while paused.
class WorkerStreamClient final : public WorkerLink {
 public:
  explicit WorkerStreamClient(WorkerStreamClientOptions options);
  ~WorkerStreamClient() override;  // Stop

  void Start(Events events) override;
  void Stop() override;
  void Send(ToWorker message) override;
  void Resume() override;

 private:
  class Stream;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tokenworks::rpc
