// SPDX-License-Identifier: Apache-2.0
#include "platform/rpc/worker_stream_service.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <mutex>

#include "platform/rpc/limits.h"
#include "platform/rpc/worker_codec.h"
#include "worker.grpc.pb.h"

namespace tokenworks::rpc {
namespace {
constexpr size_t kPendingBytesMax = size_t{32} << 20;
constexpr auto kShutdownPatience = std::chrono::milliseconds(500);
}  // namespace

// One router's stream; deletes itself when gRPC is done with it.
class WorkerStreamServer::Stream final : public grpc::ServerBidiReactor<worker::ToWorkerBatch, worker::FromWorker> {
 public:
  explicit Stream(Service& service) : service_(service) { StartRead(&incoming_); }
  void Send(const FromWorker& message);
  void End(grpc::Status status);
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override;

 private:
  void WriteNext();
  Service& service_;
  worker::ToWorkerBatch incoming_;
  worker::FromWorker pending_, outgoing_;
  std::mutex mutex_;
  bool has_pending_ = false, writing_ = false, finished_ = false;
};

class WorkerStreamServer::Service final : public worker::WorkerStream::CallbackService {
 public:
  explicit Service(Events events) : events_(std::move(events)) {}

  grpc::ServerBidiReactor<worker::ToWorkerBatch, worker::FromWorker>* Attach(grpc::CallbackServerContext*) override {
    auto* next = new Stream(*this);
    FromWorker hello;
    hello.hello = events_.hello();
    std::lock_guard lock(mutex_);
    if (stream_ != nullptr)
      stream_->End(grpc::Status(grpc::StatusCode::ABORTED, "another router has taken this worker's stream"));
    stream_ = next;
    next->Send(hello);
    return next;
  }

  void Send(const FromWorker& message) {
    std::lock_guard lock(mutex_);
    if (stream_ != nullptr) stream_->Send(message);
  }

  void Received(Stream* from, const worker::ToWorkerBatch& batch) {
    std::lock_guard lock(received_mutex_);
    {
      std::lock_guard inner(mutex_);
      if (from != stream_) return;  // of a router that has been replaced
    }
    for (const worker::ToWorker& message : batch.messages())
      if (StatusOr<ToWorker> decoded = FromWire(message, SteadyClock().Now()); decoded.ok())
        events_.received(std::move(*decoded));
  }

  void Gone(Stream* stream) {
    std::lock_guard lock(mutex_);
    if (stream_ == stream) stream_ = nullptr;
  }

  void EndStream() {
    std::lock_guard lock(mutex_);
    if (stream_ != nullptr) stream_->End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the worker is stopping"));
  }

 private:
  const Events events_;
  std::mutex received_mutex_, mutex_;
  Stream* stream_ = nullptr;
};

void WorkerStreamServer::Stream::Send(const FromWorker& message) {
  std::lock_guard lock(mutex_);
  if (finished_) return;
  AppendToWire(message, &pending_);
  has_pending_ = true;
  if (writing_ && pending_.ByteSizeLong() > kPendingBytesMax) {
    finished_ = true;
    return Finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the router does not read its stream"));
  }
  WriteNext();
}

void WorkerStreamServer::Stream::WriteNext() {
  if (writing_ || !has_pending_) return;
  writing_ = true;
  has_pending_ = false;
  outgoing_.Clear();
  outgoing_.Swap(&pending_);
  StartWrite(&outgoing_);
}

void WorkerStreamServer::Stream::End(grpc::Status status) {
  std::lock_guard lock(mutex_);
  if (std::exchange(finished_, true)) return;
  Finish(std::move(status));
}

void WorkerStreamServer::Stream::OnReadDone(bool ok) {
  if (!ok) return End(grpc::Status::OK);
  service_.Received(this, incoming_);
  std::lock_guard lock(mutex_);
  if (!finished_) StartRead(&incoming_);
}

void WorkerStreamServer::Stream::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  writing_ = false;
  if (ok && !finished_) WriteNext();
}

void WorkerStreamServer::Stream::OnDone() {
  service_.Gone(this);
  delete this;
}

struct WorkerStreamServer::Impl {
  explicit Impl(Events events) : service(std::move(events)) {}
  Service service;
  std::unique_ptr<grpc::Server> server;
};

WorkerStreamServer::WorkerStreamServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WorkerStreamServer::~WorkerStreamServer() { Stop(); }

StatusOr<std::unique_ptr<WorkerStreamServer>> WorkerStreamServer::Start(const std::string& socket_path, Events events) {
  unlink(socket_path.c_str());
  auto impl = std::make_unique<Impl>(std::move(events));
  grpc::ServerBuilder builder;
  int bound = 0;
  builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials(), &bound);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.RegisterService(&impl->service);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr)
    return absl::UnavailableError(
        "listening on " + socket_path +
        " for the router failed; is the folder writable and the path shorter than 108 bytes?");
  return std::unique_ptr<WorkerStreamServer>(new WorkerStreamServer(std::move(impl)));
}

void WorkerStreamServer::Send(const FromWorker& message) { impl_->service.Send(message); }

void WorkerStreamServer::Stop() {
  if (impl_->server == nullptr) return;
  impl_->service.EndStream();
  impl_->server->Shutdown(std::chrono::system_clock::now() + kShutdownPatience);
  impl_->server->Wait();
  impl_->server.reset();
}

}  // namespace tokenworks::rpc
