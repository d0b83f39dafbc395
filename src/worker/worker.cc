// SPDX-License-Identifier: Apache-2.0
#include "worker/worker.h"

#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "engine/scheduler/scheduler.h"
#include "platform/base/str_cat.h"

namespace tokenworks::worker {
namespace {

constexpr auto kReportEvery = std::chrono::milliseconds(100);
constexpr auto kReportAtLeast = std::chrono::seconds(1);

struct StepDone {
  uint64_t plan;
  StatusOr<StepResult> result;
};
using Event = std::variant<ToWorker, StepDone>;

}  // namespace

// Thread: the control thread owns the scheduler; the engine thread owns the executor; the mutex guards the two queues.
class Worker::Impl {
 public:
  Impl(WorkerOptions options, std::unique_ptr<Executor> executor, Emit emit)
      : options_(std::move(options)), executor_(std::move(executor)), emit_(std::move(emit)), scheduler_(MakeSchedulerOptions()) {
    scheduler_.SetRole(options_.role);
    if (!options_.step_log_path.empty()) step_log_.open(options_.step_log_path, std::ios::app);
    control_ = std::thread([this] { Control(); });
    engine_ = std::thread([this] { Engine(); });
  }

  void Post(ToWorker message) {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(message));
    changed_.notify_all();
  }

  WorkerHello Hello() const {
    const ExecutorInfo& info = executor_->info();
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
    h.role = role_.load();
    h.peer = {options_.id, options_.incarnation, options_.peer_socket_path};
    return h;
  }

  void Stop() {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
      changed_.notify_all();
    }
    control_.join();
    engine_.join();
  }

 private:
  int ContextLength() const { return std::min(executor_->info().context_length, executor_->info().kv_blocks * kBlockTokens); }

  scheduler::SchedulerOptions MakeSchedulerOptions() const {
    const ExecutorInfo& info = executor_->info();
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
    return o;
  }

  void Handle(ToWorker message, TimePoint now) {
    if (auto* assign = std::get_if<Assign>(&message)) {
      const RequestId id = assign->request.id;
      const Epoch epoch = assign->request.epoch;
      const Status status = assign->route == Route::kLocal ? scheduler_.Admit(std::move(assign->request), Route::kLocal, now)
                                                           : absl::UnimplementedError("this worker cannot hand off");
      if (!status.ok()) {
        RequestEnded ended;
        ended.request = id;
        ended.epoch = epoch;
        ended.status = status;
        refused_.push_back(std::move(ended));
      }
    } else if (auto* cancel = std::get_if<Cancel>(&message)) {
      scheduler_.Cancel(cancel->request, cancel->sequence, cancel->reason, now);
    } else if (auto* role = std::get_if<SetRole>(&message)) {
      scheduler_.SetRole(role->role);
      role_ = role->role;
    }
    report_due_ = true;
  }

  void Control() {
    bool in_flight = false;
    while (true) {
      std::deque<Event> events;
      {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kReportAtLeast, [&] { return stopping_ || !events_.empty(); });
        if (stopping_) return;
        events.swap(events_);
      }
      const TimePoint now = std::chrono::steady_clock::now();
      for (Event& event : events) {
        if (auto* done = std::get_if<StepDone>(&event)) {
          in_flight = false;
          ++steps_;
          if (done->result.ok()) scheduler_.Complete(*done->result, now);
          else scheduler_.Fail(done->plan, done->result.status(), now);
        } else {
          Handle(std::move(std::get<ToWorker>(event)), now);
        }
      }
      if (!in_flight) {
        if (auto planned = scheduler_.Plan(now)) {
          in_flight = true;
          Log(planned->plan);
          std::lock_guard lock(mutex_);
          plan_ = std::move(planned->plan);
          changed_.notify_all();
        }
      }
      EmitAll(now);
    }
  }

  void EmitAll(TimePoint now) {
    FromWorker message;
    scheduler::SchedulerOutput out = scheduler_.TakeOutput();
    message.deltas = std::move(out.deltas);
    message.ended = std::move(out.ended);
    for (RequestEnded& e : refused_) message.ended.push_back(std::move(e));
    refused_.clear();
    if (!message.ended.empty()) report_due_ = true;
    if ((report_due_ && now - reported_ >= kReportEvery) || now - reported_ >= kReportAtLeast) {
      WorkerReport report;
      scheduler_.Report(report);
      report.steps = steps_;
      message.report = report;
      reported_ = now;
      report_due_ = false;
    }
    if (!message.deltas.empty() || !message.ended.empty() || message.report) emit_(std::move(message));
  }

  void Log(const StepPlan& plan) {
    if (!step_log_.is_open()) return;
    std::string line = base::StrCat("{\"plan\": ", plan.id, ", \"items\": [");
    for (const StepItem& item : plan.items)
      line += base::StrCat(&item == &plan.items.front() ? "" : ", ", "{\"first\": ", item.first_position, ", \"rows\": ", item.tokens.size(), ", \"samples\": ", item.samples.size(), "}");
    step_log_ << line << "]}" << std::endl;
  }

  void Engine() {
    while (true) {
      StepPlan plan;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || plan_.has_value(); });
        if (stopping_) return;
        plan = std::move(*plan_);
        plan_.reset();
      }
      const uint64_t id = plan.id;
      const Status submitted = executor_->Submit(std::move(plan));
      StepDone done{id, submitted.ok() ? executor_->Collect() : StatusOr<StepResult>(submitted)};
      std::lock_guard lock(mutex_);
      events_.push_back(std::move(done));
      changed_.notify_all();
    }
  }

  const WorkerOptions options_;
  const std::unique_ptr<Executor> executor_;
  const Emit emit_;
  scheduler::Scheduler scheduler_;
  std::atomic<WorkerRole> role_{options_.role};
  std::vector<RequestEnded> refused_;
  std::ofstream step_log_;
  TimePoint reported_;
  bool report_due_ = true;
  uint64_t steps_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  std::optional<StepPlan> plan_;
  bool stopping_ = false;
  std::thread control_, engine_;
};

Worker::Worker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Worker::~Worker() { Stop(); }

StatusOr<std::unique_ptr<Worker>> Worker::Create(WorkerOptions options, std::unique_ptr<Executor> executor, Emit emit) {
  if (options.incarnation == 0) options.incarnation = static_cast<Incarnation>(std::chrono::steady_clock::now().time_since_epoch().count()) ^ (static_cast<Incarnation>(getpid()) << 40);
  return std::unique_ptr<Worker>(new Worker(std::make_unique<Impl>(std::move(options), std::move(executor), std::move(emit))));
}

void Worker::Post(ToWorker message) { impl_->Post(std::move(message)); }
WorkerHello Worker::hello() const { return impl_->Hello(); }
void Worker::Stop() { impl_->Stop(); }

}  // namespace tokenworks::worker
