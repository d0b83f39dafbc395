// SPDX-License-Identifier: Apache-2.0
#include "platform/rpc/worker_stream_client.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "platform/rpc/limits.h"
#include "platform/rpc/worker_codec.h"
#include "worker.grpc.pb.h"

namespace tokenworks::rpc {

// One connection's stream. gRPC calls the On… functions from its threads, OnDone last.
class WorkerStreamClient::Stream final : public grpc::ClientBidiReactor<worker::ToWorkerBatch, worker::FromWorker> {
 public:
  Stream(const std::string& socket_path, const WorkerLink::Events& events) : events_(events) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // every dial is a fresh one, without a shared back-off
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    arguments.SetMaxSendMessageSize(kMaxMessageBytes);
    stub_ = worker::WorkerStream::NewStub(
        grpc::CreateCustomChannel("unix:" + socket_path, grpc::InsecureChannelCredentials(), arguments));
  }

  // Blocks until the stream is over; true when the worker had said hello.
  bool RunUntilDone() {
    stub_->async()->Attach(&context_, this);
    AddHold();  // Resume and Send start operations from outside
    StartRead(&incoming_);
    StartCall();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
    return said_hello_;
  }

  void Send(const ToWorker& message) {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    ToWire(message, SteadyClock().Now(), pending_.add_messages());
    WriteNext();
  }

  void Resume() {
    std::lock_guard lock(mutex_);
    if (!paused_ || closed_) return;
    paused_ = false;
    StartRead(&incoming_);
  }

  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return Close();
    StatusOr<FromWorker> message = FromWire(incoming_);
    if (!message.ok()) {
      context_.TryCancel();
      return Close();
    }
    {
      std::lock_guard lock(mutex_);
      said_hello_ |= message->hello.has_value();
      paused_ = true;  // a Resume from another thread may come before `message` returns
    }
    if (events_.message(std::move(*message))) Resume();
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (ok && !closed_) WriteNext();
  }

  void OnDone(const grpc::Status&) override {
    std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }

 private:
  void WriteNext() {
    if (writing_ || pending_.messages().empty()) return;
    writing_ = true;
    outgoing_.Clear();
    outgoing_.Swap(&pending_);
    StartWrite(&outgoing_);
  }

  void Close() {
    std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    RemoveHold();
  }

  const WorkerLink::Events& events_;
  std::unique_ptr<worker::WorkerStream::Stub> stub_;
  grpc::ClientContext context_;
  worker::FromWorker incoming_;
  worker::ToWorkerBatch pending_, outgoing_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool writing_ = false, paused_ = false, closed_ = false, done_ = false, said_hello_ = false;
};

struct WorkerStreamClient::Impl {
  explicit Impl(WorkerStreamClientOptions o) : options(std::move(o)) {}

  void Run() {
    while (true) {
      auto next = std::make_shared<Stream>(options.socket_path, events);
      {
        std::lock_guard lock(mutex);
        if (stopping) return;
        stream = next;
      }
      const bool said_hello = next->RunUntilDone();
      std::unique_lock lock(mutex);
      stream.reset();
      if (stopping) return;
      lock.unlock();
      if (said_hello) events.lost(absl::UnavailableError("its process closed the connection"));
      lock.lock();
      changed.wait_for(lock, options.redial_after, [&] { return stopping; });
    }
  }

  std::shared_ptr<Stream> Current() {
    std::lock_guard lock(mutex);
    return stream;
  }

  const WorkerStreamClientOptions options;
  WorkerLink::Events events;
  std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<Stream> stream;
  bool stopping = false;
  std::thread thread;
};

WorkerStreamClient::WorkerStreamClient(WorkerStreamClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
WorkerStreamClient::~WorkerStreamClient() { Stop(); }

void WorkerStreamClient::Start(Events events) {
  impl_->events = std::move(events);
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

void WorkerStreamClient::Stop() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    if (impl_->stream) {
      impl_->stream->Cancel();
      impl_->stream->Resume();  // a paused stream notices the end by its next read
    }
    impl_->changed.notify_all();
  }
  if (impl_->thread.joinable()) impl_->thread.join();
}

void WorkerStreamClient::Send(ToWorker message) {
  if (const auto stream = impl_->Current()) stream->Send(message);
}

void WorkerStreamClient::Resume() {
  if (const auto stream = impl_->Current()) stream->Resume();
}

}  // namespace tokenworks::rpc
