// SPDX-License-Identifier: Apache-2.0
// serve: router and one mixed worker in one process.
#include <cstdio>
#include <filesystem>

#include "apps/cluster_options.h"
#include "apps/commands.h"
#include "apps/front_ends.h"
#include "apps/gpus.h"
#include "apps/preflight.h"
#include "apps/signals.h"
#include "apps/worker_setup.h"
#include "launch/run_folder.h"
#include "model_files/model_store.h"
#include "router/local_worker_link.h"

namespace tokenworks::apps {
namespace {

Status Serve(const launch::ClusterConfig& config) {
  TW_ASSIGN_OR_RETURN(router::RouterOptions options, MakeRouterOptions(config));
  TW_ASSIGN_OR_RETURN(const auto gpu, GpuOf(config.mixed, ""));
  TW_ASSIGN_OR_RETURN(auto executor, MakeExecutor(config, config.mixed, gpu));
  TW_ASSIGN_OR_RETURN(auto router, router::Router::Create(std::move(options)));
  LostDevice lost;
  worker::WorkerOptions worker_options = MakeWorkerOptions(config, "mixed-0", WorkerRole::kMixed, "", gpu);
  EndWhenLost(worker_options, lost);
  std::unique_ptr<worker::Worker> worker;
  auto owned = std::make_unique<router::LocalWorkerLink>([&](ToWorker message) {
    if (worker) worker->Post(std::move(message));
  });
  router::LocalWorkerLink* link = owned.get();
  TW_ASSIGN_OR_RETURN(worker,
                      worker::Worker::Create(std::move(worker_options), std::move(executor), nullptr,
                                             [link](FromWorker message) { link->Deliver(std::move(message)); }));
  TW_RETURN_IF_ERROR(router->AddWorkerLink("mixed-0", WorkerRole::kMixed, std::move(owned)));
  FromWorker hello;
  hello.hello = worker->hello();
  link->Deliver(std::move(hello));
  {
    TW_ASSIGN_OR_RETURN(const auto front_ends, FrontEnds::Start(config, *router));
    std::printf("ready: http://%s:%d/v1 (grpc %s:%d)\n", config.http_host.c_str(), front_ends->http_port(),
                config.grpc_host.c_str(), front_ends->grpc_port());
    std::fflush(stdout);
    WaitForStop();
  }
  worker->Stop();
  router.reset();
  return lost.status;
}

}  // namespace

int RunServe(int argc, char** argv) {
  BlockStopSignals();
  CLI::App app(
      "One process, aggregated.\n\nexamples:\n  tokenworks serve default\n  tokenworks serve model.gguf --threads 2 "
      "--port 0");
  ClusterOptions options;
  std::string model = "default";
  int threads = 0;
  app.add_option("MODEL", model, "a .gguf file, default, or a pip: source");
  app.add_option("--threads", threads, "engine threads (default: all CPUs)")->check(CLI::Range(1, 256));
  options.AddTo(app, false);
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  launch::ClusterConfig base;
  base.prefill.replicas = base.decode.replicas = 0;
  base.mixed.replicas = 1;
  base.mixed.threads = threads;
  base.disaggregate = "never";
  base.model = model;
  auto config = options.Load(base);
  if (!config.ok()) return Fail(config.status());
  const auto path = model_files::ModelStore(launch::HomeFolder()).Pull(config->model, [](const std::string& what) {
    std::fprintf(stderr, "model: %s\n", what.c_str());
  });
  if (!path.ok()) return Fail(path.status());
  const launch::HostGpus gpus = launch::WantsGpu(*config) ? ProbeGpus() : launch::HostGpus();
  if (const Status sound = launch::Errors(Preflight(*config, path, gpus, launch::HomeFolder())); !sound.ok())
    return Fail(sound);
  if (config->model_name.empty()) config->model_name = std::filesystem::path(*path).stem().string();
  config->model = *path;
  const Status status = Serve(*config);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace tokenworks::apps
