// SPDX-License-Identifier: Apache-2.0
#include "apps/front_ends.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/text_setup.h"
#include "engine/model/model_config.h"
#include "frontend/grpc/inference_server.h"
#include "frontend/openai_http/frontend.h"
#include "platform/base/str_cat.h"
#include "platform/http/server.h"
#include "router/prometheus_text.h"

namespace tokenworks::apps {
namespace {

using base::StrCat;

constexpr auto kDrainPatience = std::chrono::seconds(3);

// The HTTP front end's view of the router.
class RouterBackend final : public openai_http::Backend {
 public:
  explicit RouterBackend(router::Router& router) : router_(router) {}
  RequestId Submit(GenerationRequest request, std::shared_ptr<TokenSink> sink) override {
    return router_.Submit(std::move(request), std::move(sink), router::SeedSource::kGiven);
  }
  void Cancel(RequestId request, std::optional<uint32_t> sequence, CancelReason reason, uint32_t kept_tokens) override {
    router_.Cancel(request, sequence, reason, kept_tokens);
  }
  void ClusterJson(std::function<void(std::string)> done) override {
    router_.GetStatus([done = std::move(done)](router::ClusterStatus s) { done(router::ToJson(s).dump()); });
  }
  void SetRole(const WorkerId& worker, WorkerRole role, std::function<void(Status)> done) override {
    router_.SetRole(worker, role, std::move(done));
  }
  void Metrics(std::function<void(std::string)> done) override {
    router_.GetStatus([done = std::move(done)](router::ClusterStatus s) { done(router::PrometheusText(s)); });
  }
  void Ready(std::function<void(Status)> done) override {
    router_.GetStatus([done = std::move(done)](router::ClusterStatus s) {
      done(s.ready ? OkStatus()
                   : absl::UnavailableError(s.not_ready_reason.empty() ? "no worker is ready" : s.not_ready_reason));
    });
  }

 private:
  router::Router& router_;
};

StatusOr<std::unique_ptr<grpc_frontend::InferenceServer>> StartGrpc(const launch::ClusterConfig& config,
                                                                    router::Router& router,
                                                                    const text::Tokenizer& tokenizer) {
  grpc_frontend::InferenceServerOptions options;
  options.host = config.grpc_host == "localhost" ? "127.0.0.1" : config.grpc_host;
  options.port = config.grpc_port;
  options.model = config.model_name;
  options.ready = [&router](std::function<void(bool)> done) {
    router.GetStatus([done = std::move(done)](router::ClusterStatus s) { done(s.ready); });
  };
  return grpc_frontend::InferenceServer::Start(std::move(options), router, tokenizer);
}

}  // namespace

struct FrontEnds::Parts {
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::unique_ptr<text::ChatTemplate> chat_template;
  std::unique_ptr<RouterBackend> backend;
  std::unique_ptr<openai_http::OpenAiFrontend> openai;
  std::unique_ptr<http::Server> server;
  std::unique_ptr<grpc_frontend::InferenceServer> grpc;
};

FrontEnds::FrontEnds(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
FrontEnds::~FrontEnds() {
  parts_->server->Shutdown(kDrainPatience);
  parts_->grpc->Stop();
}
int FrontEnds::http_port() const { return parts_->server->port(); }
int FrontEnds::grpc_port() const { return parts_->grpc->port(); }

StatusOr<std::unique_ptr<FrontEnds>> FrontEnds::Start(const launch::ClusterConfig& config, router::Router& router) {
  auto p = std::make_unique<Parts>();
  TW_ASSIGN_OR_RETURN(const auto file, model_files::GgufFile::Open(config.model));
  TW_ASSIGN_OR_RETURN(const model::ModelConfig model, model::ReadModelConfig(*file));
  TW_ASSIGN_OR_RETURN(p->tokenizer, LoadTokenizer(*file));
  TW_ASSIGN_OR_RETURN(p->chat_template, LoadChatTemplate(*file, *p->tokenizer));
  p->backend = std::make_unique<RouterBackend>(router);
  openai_http::FrontendOptions options;
  options.model = config.model_name;
  options.created = std::time(nullptr);
  options.context_length =
      config.context_length > 0 ? std::min(config.context_length, model.context_length) : model.context_length;
  options.version = kVersion;
  options.config_json = [text = launch::ConfigJson(config)] { return text; };
  p->openai = std::make_unique<openai_http::OpenAiFrontend>(std::move(options), *p->tokenizer, p->chat_template.get(),
                                                            *p->backend);
  http::ServerOptions server;
  server.host = config.http_host == "localhost" ? "127.0.0.1" : config.http_host;
  server.port = static_cast<uint16_t>(config.http_port);
  server.insecure = config.insecure;
  server.error_body = openai_http::OpenAiFrontend::ErrorBody;
  p->server = std::make_unique<http::Server>(std::move(server));
  p->openai->Register(*p->server);
  TW_RETURN_IF_ERROR(p->server->Start());
  TW_ASSIGN_OR_RETURN(p->grpc, StartGrpc(config, router, *p->tokenizer));
  router.SetAddresses(StrCat("http://", config.http_host, ":", p->server->port()),
                      StrCat(config.grpc_host, ":", p->grpc->port()));
  return std::unique_ptr<FrontEnds>(new FrontEnds(std::move(p)));
}

StatusOr<router::RouterOptions> MakeRouterOptions(const launch::ClusterConfig& config) {
  router::RouterOptions options;
  options.model = config.model_name;
  options.policy = config.router_policy;
  TW_ASSIGN_OR_RETURN(options.disaggregate, router::ParseDisaggregate(config.disaggregate));
  options.context_length = config.context_length;
  options.waiting_max = config.router_queue_max;
  return options;
}

}  // namespace tokenworks::apps
