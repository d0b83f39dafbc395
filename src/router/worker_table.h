// SPDX-License-Identifier: Apache-2.0
// The workers that a router knows: state, role, load, and who waits for a role to be taken.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "router/cluster_status.h"
#include "router/policy/placement_policy.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks::router {

enum class Phase : uint8_t { kPrefill, kDecode, kBoth };

// Plain state of RouterCore; its thread.
class WorkerTable {
 public:
  void Add(const WorkerId& id, WorkerRole role);

  // Takes the hello and the report out of a message.
  void Hear(const WorkerId& id, FromWorker& message, TimePoint now);
  // Its counters are kept, its report is not.
  void Lose(const WorkerId& id, const Status& status);

  // Those that can take a new request of the phase now.
  std::vector<Candidate> Ready(Phase phase) const;
  // One that is not ready now, but comes back in a role that serves the phase.
  bool DueBack(Phase phase) const;
  // The smallest context of all that have said hello, at most `limit`.
  int ContextLimit(int limit) const;
  const PeerAddress& peer(const WorkerId& id) { return workers_[id].status.hello.peer; }
  void AddLoad(const WorkerId& id, int64_t tokens) { workers_[id].load += tokens; }

  // Ok: the worker is to be told, and `done` hears Ok once it has reported the role, or why not (Unavailable,
  // DeadlineExceeded). NotFound, Unavailable: it is not to be told, and `done` is not called.
  Status AwaitRole(const WorkerId& id, WorkerRole role, TimePoint deadline, std::function<void(Status)> done);
  void Tick(TimePoint now);

  // Workers and the totals of their hand-offs, dead ones' included.
  void Fill(ClusterStatus& status) const;

 private:
  struct RoleWaiter {
    WorkerRole role;
    TimePoint deadline;
    std::function<void(Status)> done;
  };
  struct Entry {
    WorkerStatus status;
    int64_t load = 0;  // tokens of requests placed there
    std::vector<RoleWaiter> role_waiters;
  };
  static void FinishRoleWaiters(Entry& w, TimePoint now);

  std::map<WorkerId, Entry> workers_;
  HandoffTotals dead_;  // counters of incarnations that are gone
};

}  // namespace tokenworks::router
