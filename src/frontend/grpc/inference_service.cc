// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>

#include "frontend/grpc/answer.h"
#include "frontend/grpc/calls.h"
#include "frontend/grpc/inference_server.h"
#include "inference.grpc.pb.h"
#include "platform/base/str_cat.h"
#include "platform/base/task_thread.h"
#include "token_stream/token_stream.h"

namespace tokenworks::grpc_frontend {
namespace {

using base::StrCat;
using token_stream::TokenStream;

constexpr int kMaxRequestBytes = 8 << 20;
constexpr auto kShutdownPatience = std::chrono::milliseconds(500);

// Abseil's codes are gRPC's.
grpc::Status ToGrpc(const Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()), std::string(status.message()));
}

TimePoint DeadlineOf(const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return TimePoint::max();
  const auto left = deadline - std::chrono::system_clock::now();
  if (left > std::chrono::hours(24 * 365)) return TimePoint::max();
  return std::chrono::steady_clock::now() + left;
}

// One Generate call. Tokens come to `stream_` on the router's thread, are turned into messages on the text thread
// and written one message at a time. Lives until gRPC is done with it and no task names it.
class GenerateCall final : public grpc::ServerWriteReactor<v1::GenerateResponse>,
                           public std::enable_shared_from_this<GenerateCall> {
 public:
  GenerateCall(CheckedRequest request, std::string name, grpc::CallbackServerContext* context,
               router::GenerationBackend& backend, const text::Tokenizer& tokenizer, base::TaskThread& text,
               Calls& calls)
      : context_(context),
        backend_(backend),
        text_(text),
        calls_(calls),
        name_(std::move(name)),
        answer_(name_, request, tokenizer),
        request_(std::move(request)) {}

  void Begin() {
    self_ = shared_from_this();
    const auto drain = [weak = weak_from_this()] {
      if (auto call = weak.lock()) call->PostDrain();
    };
    const auto overflow = [weak = weak_from_this()] {
      if (auto call = weak.lock()) call->CancelRequest(CancelReason::kAborted);
    };
    stream_ = std::make_shared<TokenStream>(TokenStream::Callbacks{drain, overflow});
    request_.request.external_id = name_;
    request_.request.deadline = DeadlineOf(*context_);
    const RequestId id = backend_.Submit(std::move(request_.request), stream_,
                                         request_.seed_given ? router::SeedSource::kGiven : router::SeedSource::kDraw);
    calls_.Set(name_, id);
    {
      std::lock_guard lock(mutex_);
      id_ = id;
      if (gone_) backend_.Cancel(id, std::nullopt, CancelReason::kClientGone);
    }
    PostDrain();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return;  // OnCancel follows
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
    }
    PostDrain();
  }

  void OnCancel() override {
    {
      std::lock_guard lock(mutex_);
      gone_ = true;
    }
    stream_->Close();
    CancelRequest(CancelReason::kClientGone);
    Finish(Status(StatusCode::kCancelled, "the client cancelled the call or its deadline passed"), 0);
  }

  void OnDone() override {
    calls_.Remove(name_);
    self_.reset();
  }

 private:
  void PostDrain() {
    text_.Post([self = shared_from_this()] { self->Drain(); });
  }

  void CancelRequest(CancelReason reason) {
    std::lock_guard lock(mutex_);
    if (id_) backend_.Cancel(*id_, std::nullopt, reason);
  }

  // On the text thread.
  void Drain() {
    {
      std::lock_guard lock(mutex_);
      if (writing_ || finished_ || !id_) return;  // Begin posts again once Submit has returned
    }
    TokenStream::Batch batch = stream_->Take();
    response_.Clear();
    for (const TokenDelta& delta : batch.deltas)
      if (const int64_t kept = answer_.Add(delta, &response_); kept >= 0)
        backend_.Cancel(*id_, delta.sequence, CancelReason::kStopString, static_cast<uint32_t>(kept));
    Status status;
    if (batch.end) status = answer_.Finish(*batch.end, &response_);
    if (batch.end && !status.ok()) return Finish(status, batch.end->retry_after_s);
    if (response_.deltas().empty() && !batch.end) return;
    std::lock_guard lock(mutex_);
    if (finished_) return;
    if (batch.end) {
      finished_ = true;
      return StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
    }
    writing_ = true;
    StartWrite(&response_);
  }

  void Finish(const Status& status, double retry_after_s) {
    std::lock_guard lock(mutex_);
    if (std::exchange(finished_, true)) return;
    if (retry_after_s > 0) context_->AddTrailingMetadata("retry-after-s", StrCat(retry_after_s));
    ServerWriteReactor::Finish(ToGrpc(status));
  }

  grpc::CallbackServerContext* const context_;
  router::GenerationBackend& backend_;
  base::TaskThread& text_;
  Calls& calls_;
  const std::string name_;
  Answer answer_;  // text thread
  CheckedRequest request_;
  v1::GenerateResponse response_;  // text thread, or gRPC while writing_
  std::shared_ptr<TokenStream> stream_;
  std::shared_ptr<GenerateCall> self_;
  std::mutex mutex_;
  std::optional<RequestId> id_;
  bool writing_ = false, finished_ = false, gone_ = false;
};

// A call that is refused before any work.
class RefusedCall final : public grpc::ServerWriteReactor<v1::GenerateResponse> {
 public:
  explicit RefusedCall(const Status& status) { Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

class InferenceService final : public v1::Inference::CallbackService {
 public:
  InferenceService(const InferenceServerOptions& options, router::GenerationBackend& backend,
                   const text::Tokenizer& tokenizer, base::TaskThread& text)
      : options_(options), backend_(backend), tokenizer_(tokenizer), text_(text) {}

  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(grpc::CallbackServerContext* context,
                                                           const v1::GenerateRequest* in) override {
    const std::string& model = in->model();
    if (!model.empty() && model != "default" && model != options_.model &&
        std::find(options_.aliases.begin(), options_.aliases.end(), model) == options_.aliases.end())
      return new RefusedCall(absl::NotFoundError(
          StrCat("the model `", model.substr(0, 128), "` does not exist; this server has `", options_.model, "`")));
    StatusOr<CheckedRequest> checked = Check(*in, tokenizer_);
    if (!checked.ok()) return new RefusedCall(checked.status());
    const std::string name =
        in->request_id().empty() ? StrCat("gen-", serial_.fetch_add(1), "-", draw_) : in->request_id();
    if (!calls_.Add(name))
      return new RefusedCall(
          absl::AlreadyExistsError(StrCat("a request with the id `", name, "` is still running; give each its own")));
    checked->request.model = options_.model;
    auto call = std::make_shared<GenerateCall>(std::move(*checked), name, context, backend_, tokenizer_, text_, calls_);
    call->Begin();
    return call.get();
  }

  grpc::ServerUnaryReactor* Abort(grpc::CallbackServerContext* context, const v1::AbortRequest* in,
                                  v1::AbortResponse* out) override {
    const auto id = calls_.Find(in->request_id());
    out->set_found(id.has_value());
    if (id) backend_.Cancel(*id, std::nullopt, CancelReason::kAborted);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const InferenceServerOptions& options_;
  router::GenerationBackend& backend_;
  const text::Tokenizer& tokenizer_;
  base::TaskThread& text_;
  Calls calls_;
  std::atomic<uint64_t> serial_{1};
  const uint32_t draw_ = std::random_device()();
};

}  // namespace

struct InferenceServer::Impl {
  Impl(InferenceServerOptions o, router::GenerationBackend& backend, const text::Tokenizer& tokenizer)
      : options(std::move(o)), text([this] { AskReady(); }), service(options, backend, tokenizer, text) {}

  void AskReady() {
    if (!options.ready) return;
    options.ready([health = health](bool ready) {
      std::lock_guard lock(health->mutex);
      if (health->service) health->service->SetServingStatus(ready);
    });
  }

  // Outlives the server: an answer may come late.
  struct Health {
    std::mutex mutex;
    grpc::HealthCheckServiceInterface* service = nullptr;
  };
  const InferenceServerOptions options;
  std::shared_ptr<Health> health = std::make_shared<Health>();
  base::TaskThread text;
  InferenceService service;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

InferenceServer::InferenceServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
InferenceServer::~InferenceServer() { Stop(); }
int InferenceServer::port() const { return impl_->port; }

StatusOr<std::unique_ptr<InferenceServer>> InferenceServer::Start(InferenceServerOptions options,
                                                                  router::GenerationBackend& backend,
                                                                  const text::Tokenizer& tokenizer) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto impl = std::make_unique<Impl>(std::move(options), backend, tokenizer);
  const std::string address = StrCat(impl->options.host, ":", impl->options.port);
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &impl->port);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.RegisterService(&impl->service);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || impl->port == 0)
    return absl::UnavailableError(
        StrCat("the gRPC server cannot listen on ", address,
               ": is the port in use? Set grpc.port to another one, or to 0 for any free one"));
  std::lock_guard lock(impl->health->mutex);
  impl->health->service = impl->server->GetHealthCheckService();
  impl->health->service->SetServingStatus(false);
  return std::unique_ptr<InferenceServer>(new InferenceServer(std::move(impl)));
}

void InferenceServer::Stop() {
  if (impl_->server == nullptr) return;
  {
    std::lock_guard lock(impl_->health->mutex);
    impl_->health->service = nullptr;
  }
  impl_->server->Shutdown(std::chrono::system_clock::now() + kShutdownPatience);
  impl_->server->Wait();
  impl_->server.reset();
}

}  // namespace tokenworks::grpc_frontend
