// SPDX-License-Identifier: Apache-2.0
#include "worker/worker.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "engine/scheduler/scheduler.h"
#include "platform/base/str_cat.h"
#include "worker/decode/handoff_receiver.h"
#include "worker/prefill/handoff_sender.h"

namespace tokenworks::worker {
namespace {

constexpr auto kReportEvery = std::chrono::milliseconds(100);
constexpr auto kReportAtLeast = std::chrono::seconds(1);

struct StepDone {
  uint64_t plan;
  StatusOr<StepResult> result;
};
struct LayerGroupDone {
  uint64_t plan;
  int group;
};
struct PeerArrived {
  std::shared_ptr<PeerLink> link;
  std::string bytes;
  base::UniqueFd fd;
};
struct PeerGone {
  std::shared_ptr<PeerLink> link;
};
using Event = std::variant<ToWorker, StepDone, LayerGroupDone, PeerArrived, PeerGone>;
constexpr int kRingSlotsAtLeast = 16;

}  // namespace

// Thread: the control thread owns the scheduler; the engine thread owns the executor; the mutex guards the two queues.
class Worker::Impl {
 public:
  Impl(WorkerOptions options, std::unique_ptr<Executor> executor, Emit emit)
      : options_(std::move(options)), executor_(std::move(executor)), emit_(std::move(emit)), scheduler_(MakeSchedulerOptions()),
        sender_(options_.handoff, *executor_, scheduler_, [this](const PeerAddress& peer) { return Dial(peer); }),
        receiver_(options_.handoff, *executor_, scheduler_) {
    scheduler_.SetRole(options_.role);
    if (!options_.step_log_path.empty()) step_log_.open(options_.step_log_path, std::ios::app);
    executor_->SetLayerGroupListener([this](uint64_t plan, int group) { PostEvent(LayerGroupDone{plan, group}); });
    control_ = std::thread([this] { Control(); });
    engine_ = std::thread([this] { Engine(); });
  }

  Status Listen() {
    if (options_.peer_socket_path.empty()) return OkStatus();
    TW_ASSIGN_OR_RETURN(listener_, base::FramedListener::Start(options_.peer_socket_path, [this](base::UniqueFd fd) {
                          auto link = std::make_shared<PeerLink>();
                          link->socket = std::make_unique<base::FramedSocket>(std::move(fd));
                          StartLink(link);
                          std::lock_guard lock(mutex_);
                          accepted_.push_back(link);
                        }));
    return OkStatus();
  }

  void PostEvent(Event event) {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  void Post(ToWorker message) { PostEvent(std::move(message)); }

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
    listener_.reset();
    for (auto& link : accepted_) link->socket->Close();
    for (auto& link : dialled_) link->socket->Close();
    for (auto& link : accepted_) link->socket.reset();
    for (auto& link : dialled_) link->socket.reset();
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

  void StartLink(const std::shared_ptr<PeerLink>& link) {
    std::weak_ptr<PeerLink> weak = link;
    link->socket->Start(
        [this, weak](std::string bytes, base::UniqueFd fd) {
          if (auto l = weak.lock()) PostEvent(PeerArrived{std::move(l), std::move(bytes), std::move(fd)});
        },
        [this, weak] {
          if (auto l = weak.lock()) PostEvent(PeerGone{std::move(l)});
        });
  }

  std::shared_ptr<PeerLink> Dial(const PeerAddress& peer) {
    auto fd = base::FramedSocket::Connect(peer.socket_path);
    if (!fd.ok()) return nullptr;
    const ExecutorInfo& info = executor_->info();
    uint64_t slot = 0;
    for (int l = 0; l < info.layer_group_layers; ++l) slot += info.kv_layout.layers[l].bytes;
    const int slots = std::max<int>(kRingSlotsAtLeast, static_cast<int>(options_.handoff.ring_bytes / slot));
    auto ring = kv_transfer::Ring::Make(slot, slots);
    if (!ring.ok()) return nullptr;
    auto link = std::make_shared<PeerLink>();
    link->worker = peer.worker;
    link->ring = std::move(*ring);
    link->socket = std::make_unique<base::FramedSocket>(std::move(*fd));
    kv_transfer::PeerHello hello;
    hello.worker = options_.id;
    hello.incarnation = options_.incarnation;
    hello.receiver = peer.incarnation;
    hello.model = options_.model;
    hello.weight_digest = info.weight_digest;
    hello.numerics_id = info.numerics_id;
    hello.layout = info.kv_layout;
    hello.ring_bytes = link->ring->bytes();
    link->Send(std::move(hello), link->ring->fd());
    StartLink(link);
    dialled_.push_back(link);
    return link;
  }

  // The handshake on the decode side: a difference refuses the peer, naming the field.
  Status AcceptPeer(PeerLink& link, const kv_transfer::PeerHello& hello, base::UniqueFd fd) {
    const ExecutorInfo& info = executor_->info();
    const auto differs = [](const char* field) { return absl::FailedPreconditionError(base::StrCat("hand-off refused: ", field, " differs between the two workers")); };
    if (hello.protocol_max < kProtocolMin || hello.protocol_min > kProtocolMax) return differs("the protocol range");
    if (hello.receiver != options_.incarnation) return differs("the incarnation");
    if (hello.weight_digest != info.weight_digest) return differs("the weight digest");
    if (hello.numerics_id != info.numerics_id) return differs("the numerics id");
    if (hello.layout != info.kv_layout) return differs("the KV layout");
    link.worker = hello.worker;
    TW_ASSIGN_OR_RETURN(link.ring, kv_transfer::Ring::Open(std::move(fd), hello.ring_bytes));
    return OkStatus();
  }

  void OnPeer(PeerArrived event, TimePoint now) {
    auto message = kv_transfer::DecodePeer(event.bytes);
    if (!message.ok()) return event.link->socket->Close();
    if (auto* hello = std::get_if<kv_transfer::PeerHello>(&*message)) {
      const Status status = AcceptPeer(*event.link, *hello, std::move(event.fd));
      event.link->accepted = status.ok();
      event.link->Send(kv_transfer::HelloReply{status});
      if (!status.ok()) event.link->socket->Close();
      return;
    }
    receiver_.OnMessage(event.link, *message, now);
    sender_.OnMessage(event.link, std::move(*message), now);
  }

  void Handle(ToWorker message, TimePoint now) {
    if (auto* assign = std::get_if<Assign>(&message)) {
      const RequestId id = assign->request.id;
      const Epoch epoch = assign->request.epoch;
      const Status status = scheduler_.Admit(assign->request, assign->route, now);
      if (status.ok() && assign->route == Route::kHandoff) sender_.Assigned(assign->request, assign->decode);
      if (!status.ok()) {
        RequestEnded ended;
        ended.request = id;
        ended.epoch = epoch;
        ended.status = status;
        refused_.push_back(std::move(ended));
      }
    } else if (auto* cancel = std::get_if<Cancel>(&message)) {
      if (!cancel->sequence) receiver_.Cancelled(cancel->request);
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
          sender_.PlanDone(done->plan);
        } else if (auto* group = std::get_if<LayerGroupDone>(&event)) {
          sender_.LayerGroupDone(group->plan, group->group);
        } else if (auto* arrived = std::get_if<PeerArrived>(&event)) {
          OnPeer(std::move(*arrived), now);
        } else if (auto* gone = std::get_if<PeerGone>(&event)) {
          sender_.OnLost(gone->link, now);
          receiver_.OnLost(gone->link);
          std::lock_guard lock(mutex_);
          std::erase(accepted_, gone->link);
          std::erase(dialled_, gone->link);
        } else {
          Handle(std::move(std::get<ToWorker>(event)), now);
        }
      }
      receiver_.Tick(now);
      Collect(now);
      if (!in_flight) {
        if (auto planned = scheduler_.Plan(now)) {
          in_flight = true;
          Log(planned->plan);
          sender_.Planned(planned->plan.id, std::move(planned->pushes));
          std::lock_guard lock(mutex_);
          plan_ = std::move(planned->plan);
          changed_.notify_all();
        }
      }
      Collect(now);
      EmitAll(now);
    }
  }

  // What the scheduler has said, until it has nothing more to say.
  void Collect(TimePoint now) {
    while (true) {
      scheduler::SchedulerOutput out = scheduler_.TakeOutput();
      if (out.deltas.empty() && out.ended.empty() && out.wants_reservation.empty() && out.prefill_done.empty()) return;
      for (TokenDelta& d : out.deltas) message_.deltas.push_back(std::move(d));
      for (const RequestId& id : out.wants_reservation) sender_.WantsReservation(id, now);
      for (const scheduler::PrefillDone& done : out.prefill_done) {
        if (step_log_.is_open()) step_log_ << base::StrCat("{\"event\": \"first_token\", \"handoff\": true, \"pushed_bytes\": ", sender_.pushed_bytes(done.request), "}") << std::endl;
        sender_.PrefillDone(done, now);
      }
      for (RequestEnded& e : out.ended) {
        if (!e.handed_off) sender_.Ended(e.request);
        message_.ended.push_back(std::move(e));
      }
    }
  }

  void EmitAll(TimePoint now) {
    FromWorker message = std::exchange(message_, {});
    for (RequestEnded& e : refused_) message.ended.push_back(std::move(e));
    refused_.clear();
    if (!message.ended.empty()) report_due_ = true;
    if ((report_due_ && now - reported_ >= kReportEvery) || now - reported_ >= kReportAtLeast) {
      WorkerReport report;
      scheduler_.Report(report);
      sender_.Report(report);
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
  HandoffSender sender_;
  HandoffReceiver receiver_;
  FromWorker message_;  // what gathers in a turn
  std::unique_ptr<base::FramedListener> listener_;
  std::vector<std::shared_ptr<PeerLink>> accepted_, dialled_;  // under mutex_ (dialled_: control thread)
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
  std::unique_ptr<Worker> worker(new Worker(std::make_unique<Impl>(std::move(options), std::move(executor), std::move(emit))));
  TW_RETURN_IF_ERROR(worker->impl_->Listen());
  return worker;
}

void Worker::Post(ToWorker message) { impl_->Post(std::move(message)); }
WorkerHello Worker::hello() const { return impl_->Hello(); }
void Worker::Stop() { impl_->Stop(); }

}  // namespace tokenworks::worker
