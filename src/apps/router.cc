// SPDX-License-Identifier: Apache-2.0
// router: the router process of a cluster, with both front ends.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/cluster_options.h"
#include "apps/commands.h"
#include "apps/front_ends.h"
#include "apps/signals.h"
#include "launch/preflight/machine.h"
#include "launch/run_folder.h"
#include "launch/supervisor.h"
#include "platform/base/str_cat.h"
#include "platform/rpc/worker_stream_client.h"

namespace tokenworks::apps {
namespace {

using base::StrCat;

Status AddWorkers(const launch::ClusterConfig& config, const launch::RunFolder& folder, router::Router& router) {
  const std::pair<WorkerRole, int> pools[] = {{WorkerRole::kPrefill, config.prefill.replicas},
                                              {WorkerRole::kDecode, config.decode.replicas},
                                              {WorkerRole::kMixed, config.mixed.replicas}};
  for (const auto& [role, replicas] : pools)
    for (int i = 0; i < replicas; ++i) {
      const std::string id = StrCat(WorkerRoleName(role), "-", i);
      TW_RETURN_IF_ERROR(router.AddWorkerLink(
          id, role,
          std::make_unique<rpc::WorkerStreamClient>(rpc::WorkerStreamClientOptions{folder.WorkerSocket(id)})));
    }
  return OkStatus();
}

// A router that comes back takes the ports of the one before it, which clients know, also where any free one was asked.
void KeepPorts(const launch::RunFolder& folder, launch::ClusterConfig& config) {
  const auto text = folder.Read("router.json");
  const auto before = text.ok() ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
  if (!before.is_object()) return;
  const auto keep = [&](const char* key, const std::string& host, int& port) {
    const int kept = before.value(key, port);
    if (port == 0 && launch::ProbePort(key, host, kept).problem.empty()) port = kept;  // else somebody has taken it
  };
  keep("http_port", config.http_host, config.http_port);
  keep("grpc_port", config.grpc_host, config.grpc_port);
}

Status Serve(const std::string& run) {
  const launch::RunFolder folder(run);
  TW_ASSIGN_OR_RETURN(launch::ClusterConfig config, folder.LoadConfig());
  KeepPorts(folder, config);
  TW_ASSIGN_OR_RETURN(router::RouterOptions options, MakeRouterOptions(config));
  TW_ASSIGN_OR_RETURN(const auto router, router::Router::Create(std::move(options)));
  TW_RETURN_IF_ERROR(AddWorkers(config, folder, *router));
  TW_ASSIGN_OR_RETURN(const auto front_ends, FrontEnds::Start(config, *router));
  TW_RETURN_IF_ERROR(folder.Write("router.json", StrCat("{\"http_port\": ", front_ends->http_port(),
                                                        ", \"grpc_port\": ", front_ends->grpc_port(), "}")));
  std::printf("router: http %s:%d, grpc %s:%d\n", config.http_host.c_str(), front_ends->http_port(),
              config.grpc_host.c_str(), front_ends->grpc_port());
  std::fflush(stdout);
  WaitForStop();
  return OkStatus();
}

}  // namespace

int RunRouter(int argc, char** argv) {
  launch::DieWithParent();
  BlockStopSignals();
  CLI::App app("The router of a cluster; `up` starts it.\n\nexample:\n  tokenworks router --run DIR");
  std::string run;
  app.add_option("--run", run, "the cluster's run folder")->required();
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const Status status = Serve(run);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace tokenworks::apps
