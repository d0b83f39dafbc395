// SPDX-License-Identifier: Apache-2.0
#include "worker/worker_core.h"

#include <unistd.h>

#include <algorithm>

#include "kv_transfer/agreement.h"
#include "platform/base/str_cat.h"
#include "worker/layer_group.h"

namespace tokenworks::worker {

using base::StrCat;

namespace {

constexpr auto kReportEvery = std::chrono::milliseconds(100);
constexpr auto kReportAtLeast = std::chrono::seconds(1);
constexpr uint64_t kStagedPiecesAtLeast = 4;

RequestEnded Refusal(const GenerationRequest& request, Status status) {
  RequestEnded ended;
  ended.request = request.id;
  ended.epoch = request.epoch;
  ended.status = std::move(status);
  return ended;
}

}  // namespace

WorkerCore::WorkerCore(WorkerOptions options, Executor& executor, kv_transfer::Transport* transport,
                       StartLink start_link)
    : options_(std::move(options)),
      executor_(executor),
      transport_(transport),
      start_link_(std::move(start_link)),
      scheduler_(MakeSchedulerOptions()),
      sender_(options_.handoff, executor_, scheduler_, [this](const PeerAddress& peer) { return Dial(peer); }),
      receiver_(options_.handoff, executor_, scheduler_) {
  scheduler_.SetRole(options_.role);
  if (!options_.step_log_path.empty()) step_log_.open(options_.step_log_path, std::ios::app);
}

WorkerCore::~WorkerCore() {
  for (const auto& link : links_) executor_.Unpin(link->connection->staging());
}

int WorkerCore::ContextLength() const {
  return std::min(executor_.info().context_length, executor_.info().kv_blocks * kBlockTokens);
}

scheduler::SchedulerOptions WorkerCore::MakeSchedulerOptions() const {
  const ExecutorInfo& info = executor_.info();
  scheduler::SchedulerOptions o;
  o.kv_blocks = info.kv_blocks;
  o.context_length = ContextLength();
  o.end_tokens = info.end_tokens;
  o.model_fingerprint = info.weight_digest + info.numerics_id;
  o.step_rows_max = options_.step_rows_max;
  o.chunk_tokens_max = options_.chunk_tokens_max;
  o.running_max = options_.running_max;
  o.waiting_max = options_.waiting_max;
  o.step_target = options_.step_target;
  o.prefix_cache = options_.prefix_cache;
  o.row_quantum = info.row_quantum;
  o.depth = std::min(scheduler::kMaxDepth, info.depth);
  return o;
}

WorkerHello WorkerCore::Hello() const {
  const ExecutorInfo& info = executor_.info();
  WorkerHello h;
  h.worker = options_.id;
  h.incarnation = options_.incarnation;
  h.pid = getpid();
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  h.host = host;
  h.device = info.device;
  h.model = options_.model.empty() ? info.model_name : options_.model;
  h.weight_digest = info.weight_digest;
  h.numerics_id = info.numerics_id;
  h.kv_layout = info.kv_layout;
  h.context_length = ContextLength();
  h.kv_blocks = info.kv_blocks;
  h.role = options_.role;
  h.peer = {options_.id, options_.incarnation, options_.peer_socket_path};
  return h;
}

kv_transfer::PeerHello WorkerCore::OwnPeerHello() const {
  const ExecutorInfo& info = executor_.info();
  kv_transfer::PeerHello hello;
  hello.worker = options_.id;
  hello.incarnation = options_.incarnation;
  hello.model = options_.model;
  hello.weight_digest = info.weight_digest;
  hello.numerics_id = info.numerics_id;
  hello.layout = info.kv_layout;
  hello.group_layers = info.layer_group_layers;
  return hello;
}

StatusOr<std::shared_ptr<PeerLink>> WorkerCore::Dial(const PeerAddress& peer) {
  if (transport_ == nullptr) return absl::FailedPreconditionError("this worker hands nothing off");
  const uint64_t piece = LayerGroupOf(executor_.info(), 0).bytes;
  auto link = std::make_shared<PeerLink>();
  TW_ASSIGN_OR_RETURN(link->connection, transport_->Dial(peer.socket_path, std::max(options_.handoff.staging_bytes,
                                                                                    kStagedPiecesAtLeast * piece)));
  executor_.Pin(link->connection->staging());
  link->worker = peer.worker;
  link->incarnation = peer.incarnation;
  links_.insert(link);
  start_link_(link);
  kv_transfer::PeerHello hello = OwnPeerHello();
  hello.receiver = peer.incarnation;
  link->connection->Send(hello);
  return link;
}

void WorkerCore::OnPeerConnected(std::shared_ptr<PeerLink> link) {
  links_.insert(link);
  start_link_(link);
}

void WorkerCore::OnPeerMessage(const std::shared_ptr<PeerLink>& link, const kv_transfer::PeerMessage& message,
                               TimePoint now) {
  report_due_ = true;
  if (const auto* hello = std::get_if<kv_transfer::PeerHello>(&message)) {
    const Status status = CheckAgreement(OwnPeerHello(), *hello);
    link->worker = hello->worker;
    link->incarnation = hello->incarnation;
    link->accepted = status.ok();
    link->layout = hello->layout;
    link->group_layers = hello->group_layers;
    link->connection->Send(kv_transfer::HelloReply{status});
    if (!status.ok()) link->connection->Close();
    return;
  }
  if (link->accepted)
    receiver_.OnMessage(link, message, now);
  else
    sender_.OnMessage(link, message, now);
}

void WorkerCore::OnPeerClosed(const std::shared_ptr<PeerLink>& link, TimePoint now) {
  report_due_ = true;
  sender_.OnLost(link, now);
  receiver_.OnLost(link, now);
  executor_.Unpin(link->connection->staging());
  links_.erase(link);
}

void WorkerCore::OnRouter(ToWorker message, TimePoint now) {
  report_due_ = true;
  if (auto* assign = std::get_if<Assign>(&message)) {
    const Status status = scheduler_.Admit(assign->request, assign->route, now);
    if (!status.ok())
      message_.ended.push_back(Refusal(assign->request, status));
    else if (step_log_.is_open())
      step_log_ << StrCat("{\"event\": \"admitted\", \"request\": ", assign->request.id.value, "}") << std::endl;
    if (status.ok() && assign->route == Route::kHandoff) sender_.Assigned(assign->request, assign->decode);
  } else if (const auto* cancel = std::get_if<Cancel>(&message)) {
    if (!cancel->sequence) receiver_.Cancelled(cancel->request, now);
    scheduler_.Cancel(cancel->request, cancel->sequence, cancel->reason, now);
  } else {
    scheduler_.SetRole(std::get<SetRole>(message).role);
  }
}

void WorkerCore::OnLayerGroup(uint64_t plan, int group, TimePoint now) { sender_.LayerGroupDone(plan, group, now); }

void WorkerCore::OnStepDone(uint64_t plan, const StatusOr<StepResult>& result, TimePoint now) {
  --in_flight_;
  ++steps_;
  report_due_ = true;
  if (result.ok())
    scheduler_.Complete(*result, now);
  else
    scheduler_.Fail(plan, result.status(), now);
  sender_.PlanDone(plan);
}

void WorkerCore::Tick(TimePoint now) {
  sender_.Tick(now);
  receiver_.Tick(now);
}

std::optional<StepPlan> WorkerCore::NextPlan(TimePoint now) {
  Collect(now);
  if (in_flight_ >= std::min(scheduler::kMaxDepth, executor_.info().depth)) return std::nullopt;
  auto planned = scheduler_.Plan(now);
  Collect(now);
  if (!planned) return std::nullopt;
  ++in_flight_;
  Log(*planned);
  sender_.Planned(planned->plan.id, std::move(planned->pushes));
  return std::move(planned->plan);
}

// What the scheduler has said, until it has nothing more to say.
void WorkerCore::Collect(TimePoint now) {
  while (true) {
    scheduler::SchedulerOutput out = scheduler_.TakeOutput();
    if (out.deltas.empty() && out.ended.empty() && out.wants_reservation.empty() && out.prefill_done.empty()) return;
    for (TokenDelta& d : out.deltas) message_.deltas.push_back(std::move(d));
    for (const RequestId& id : out.wants_reservation) sender_.WantsReservation(id, now);
    for (const scheduler::PrefillDone& done : out.prefill_done) {
      if (step_log_.is_open())
        step_log_ << StrCat("{\"event\": \"first_token\", \"handoff\": true, \"pushed_bytes\": ",
                            sender_.pushed_bytes(done.request), "}")
                  << std::endl;
      sender_.PrefillDone(done, now);
    }
    for (RequestEnded& e : out.ended) {
      if (e.handed_off)
        e.timings.handoff_ms = sender_.TakeHandoffMs(e.request);
      else
        sender_.Ended(e.request, now);
      receiver_.Ended(e.request, now);
      message_.ended.push_back(std::move(e));
    }
  }
}

WorkerReport WorkerCore::MakeReport() const {
  WorkerReport report;
  scheduler_.Report(report);
  sender_.Report(transport_ == nullptr ? "none" : transport_->name(), report);
  report.steps = steps_;
  if (options_.read_gpu) report.gpu = options_.read_gpu();
  return report;
}

TimePoint WorkerCore::report_at() const { return reported_ + (report_due_ ? kReportEvery : kReportAtLeast); }

std::optional<FromWorker> WorkerCore::TakeOutput(TimePoint now) {
  Collect(now);
  FromWorker message = std::exchange(message_, {});
  if (!message.ended.empty()) report_due_ = true;
  if ((report_due_ && now - reported_ >= kReportEvery) || now - reported_ >= kReportAtLeast) {
    message.report = MakeReport();
    reported_ = now;
    report_due_ = false;
  }
  if (message.deltas.empty() && message.ended.empty() && !message.report) return std::nullopt;
  return message;
}

void WorkerCore::Log(const scheduler::PlannedStep& step) {
  if (!step_log_.is_open()) return;
  const StepPlan& plan = step.plan;
  std::string line =
      StrCat("{\"plan\": ", plan.id, ", \"choice\": \"", RowsChoiceName(step.choice), "\", \"items\": [");
  for (const StepItem& item : plan.items) {
    const uint64_t request = item.samples.empty() ? 0 : item.samples.front().request.value;
    line += StrCat(&item == &plan.items.front() ? "" : ", ", "{\"request\": ", request,
                   ", \"first\": ", item.first_position, ", \"rows\": ", item.tokens.size(),
                   ", \"prefill\": ", item.is_prefill ? "true" : "false", ", \"samples\": ", item.samples.size(), "}");
  }
  step_log_ << line << "]}" << std::endl;
}

}  // namespace tokenworks::worker
