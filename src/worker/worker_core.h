// SPDX-License-Identifier: Apache-2.0
// One worker without its threads: composes scheduler and hand-offs; events and time in, plans and messages out.
#pragma once

#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "engine/scheduler/scheduler.h"
#include "kv_transfer/transport.h"
#include "tokenworks/executor.h"
#include "tokenworks/worker_protocol.h"
#include "worker/decode/handoff_receiver.h"
#include "worker/prefill/handoff_sender.h"
#include "worker/worker_options.h"

namespace tokenworks::worker {

// Thread: the worker's control thread, or a test's only one. Uses the executor for copies of blocks alone.
class WorkerCore {
 public:
  // Called with every new connection before anything is sent on it: starts it so that its events come back to
  // OnPeerMessage and OnPeerClosed, on this core's thread.
  using StartLink = std::function<void(const std::shared_ptr<PeerLink>&)>;

  // Borrows executor and transport (null: no hand-offs).
  WorkerCore(WorkerOptions options, Executor& executor, kv_transfer::Transport* transport, StartLink start_link);
  ~WorkerCore();

  void OnRouter(ToWorker message, TimePoint now);
  void OnLayerGroup(uint64_t plan, int group, TimePoint now);
  void OnStepDone(uint64_t plan, const StatusOr<StepResult>& result, TimePoint now);
  // A peer has connected to us.
  void OnPeerConnected(std::shared_ptr<PeerLink> link);
  void OnPeerMessage(const std::shared_ptr<PeerLink>& link, const kv_transfer::PeerMessage& message, TimePoint now);
  void OnPeerClosed(const std::shared_ptr<PeerLink>& link, TimePoint now);
  void Tick(TimePoint now);

  // The next step, when fewer than ExecutorInfo::depth are in flight and there is something to do.
  std::optional<StepPlan> NextPlan(TimePoint now);
  int steps_in_flight() const { return in_flight_; }
  // When TakeOutput is to be called again though nothing happens: a report waits for its turn.
  TimePoint report_at() const;
  // What the router is to hear now; nothing when there is nothing to say.
  std::optional<FromWorker> TakeOutput(TimePoint now);
  WorkerHello Hello() const;

 private:
  scheduler::SchedulerOptions MakeSchedulerOptions() const;
  int ContextLength() const;
  kv_transfer::PeerHello OwnPeerHello() const;
  StatusOr<std::shared_ptr<PeerLink>> Dial(const PeerAddress& peer);
  void Collect(TimePoint now);
  WorkerReport MakeReport() const;
  void Log(const scheduler::PlannedStep& step);

  const WorkerOptions options_;
  Executor& executor_;
  kv_transfer::Transport* const transport_;
  const StartLink start_link_;
  scheduler::Scheduler scheduler_;
  HandoffSender sender_;
  HandoffReceiver receiver_;
  std::set<std::shared_ptr<PeerLink>> links_;
  FromWorker message_;  // what gathers
  std::ofstream step_log_;
  TimePoint reported_;
  bool report_due_ = true;
  uint64_t steps_ = 0;
  int in_flight_ = 0;
};

}  // namespace tokenworks::worker
