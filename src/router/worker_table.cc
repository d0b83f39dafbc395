// SPDX-License-Identifier: Apache-2.0
#include "router/worker_table.h"

#include <algorithm>
#include <utility>

#include "platform/base/str_cat.h"

namespace tokenworks::router {
namespace {

using base::StrCat;

bool Serves(WorkerRole role, Phase phase) {
  return role == WorkerRole::kMixed || (phase == Phase::kPrefill && role == WorkerRole::kPrefill) ||
         (phase == Phase::kDecode && role == WorkerRole::kDecode);
}

void AddReport(const WorkerReport& r, HandoffTotals& totals) {
  totals.started += r.handoffs_started;
  totals.completed += r.handoffs_completed;
  totals.failed += r.handoffs_failed;
  totals.recomputed += r.handoffs_recomputed;
  totals.bytes += r.handoff_bytes;
  totals.bytes_resent += r.handoff_bytes_resent;
}

}  // namespace

void WorkerTable::Add(const WorkerId& id, WorkerRole role) {
  Entry& w = workers_[id];
  w.status.hello.worker = id;
  w.status.role = role;
}

void WorkerTable::Hear(const WorkerId& id, FromWorker& message, TimePoint now) {
  Entry& w = workers_[id];
  if (message.hello) {
    if (w.status.hello.incarnation != 0 && w.status.hello.incarnation != message.hello->incarnation)
      ++w.status.restarts;
    w.status.hello = std::move(*message.hello);
    w.status.report.kv = {.total = w.status.hello.kv_blocks, .free = w.status.hello.kv_blocks};  // until it reports
    w.status.role = w.status.hello.role;
    w.status.state = WorkerState::kReady;
  }
  if (message.report) {
    w.status.report = std::move(*message.report);
    w.status.role = w.status.report.role;
    FinishRoleWaiters(w, now);
  }
}

void WorkerTable::Lose(const WorkerId& id, const Status& status) {
  Entry& w = workers_[id];
  w.status.state = WorkerState::kLost;
  w.status.error = std::string(status.message());
  AddReport(w.status.report, dead_);
  w.status.report = {};
}

std::vector<Candidate> WorkerTable::Ready(Phase phase) const {
  std::vector<Candidate> out;
  for (const auto& [id, w] : workers_)
    if (w.status.state == WorkerState::kReady && Serves(w.status.role, phase)) out.push_back({id, w.load});
  return out;
}

bool WorkerTable::DueBack(Phase phase) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const WorkerStatus& status = entry.second.status;
    return status.state != WorkerState::kReady && Serves(status.role, phase);
  });
}

int WorkerTable::ContextLimit(int limit) const {
  for (const auto& [id, w] : workers_)
    if (w.status.hello.context_length > 0) limit = std::min(limit, w.status.hello.context_length);
  return limit;
}

Status WorkerTable::AwaitRole(const WorkerId& id, WorkerRole role, TimePoint deadline,
                              std::function<void(Status)> done) {
  const auto it = workers_.find(id);
  if (it == workers_.end()) {
    std::string known;
    for (const auto& [worker, entry] : workers_) known += (known.empty() ? "" : ", ") + worker;
    return absl::NotFoundError(StrCat("no worker '", id, "'; there are ", known));
  }
  if (it->second.status.state != WorkerState::kReady)
    return absl::UnavailableError(StrCat("worker ", id, " is not ready"));
  it->second.role_waiters.push_back({role, deadline, std::move(done)});
  return OkStatus();
}

void WorkerTable::FinishRoleWaiters(Entry& w, TimePoint now) {
  for (RoleWaiter& waiter : std::exchange(w.role_waiters, {})) {
    const WorkerId& id = w.status.hello.worker;
    if (waiter.role == w.status.role)
      waiter.done(OkStatus());
    else if (w.status.state == WorkerState::kLost)
      waiter.done(absl::UnavailableError(StrCat("worker ", id, " was lost before it took the role")));
    else if (waiter.deadline <= now)
      waiter.done(absl::DeadlineExceededError(StrCat("worker ", id, " has not taken the role ",
                                                     std::string(WorkerRoleName(waiter.role)),
                                                     " in time; `status` shows what it does")));
    else
      w.role_waiters.push_back(std::move(waiter));
  }
}

void WorkerTable::Tick(TimePoint now) {
  for (auto& [id, w] : workers_) FinishRoleWaiters(w, now);
}

void WorkerTable::Fill(ClusterStatus& status) const {
  status.handoff = dead_;
  for (const auto& [id, w] : workers_) {
    status.workers.push_back(w.status);
    AddReport(w.status.report, status.handoff);
  }
}

}  // namespace tokenworks::router
