// SPDX-License-Identifier: Apache-2.0
// worker: one worker process of a cluster.
#include <atomic>
#include <cstdio>

#include "apps/cluster_options.h"
#include "apps/commands.h"
#include "apps/gpus.h"
#include "apps/signals.h"
#include "apps/worker_setup.h"
#include "kv_transfer/transport/shm/shm_transport.h"
#include "launch/run_folder.h"
#include "launch/supervisor.h"
#include "platform/rpc/worker_stream_service.h"

namespace tokenworks::apps {
namespace {

Status Serve(const std::string& run, const std::string& id, const std::string& role_name, const std::string& uuid) {
  const launch::RunFolder folder(run);
  TW_ASSIGN_OR_RETURN(const launch::ClusterConfig config, folder.LoadConfig());
  TW_ASSIGN_OR_RETURN(const WorkerRole role, ParseRole(role_name));
  TW_ASSIGN_OR_RETURN(const auto gpu, GpuOf(PoolOf(config, role), uuid));
  TW_ASSIGN_OR_RETURN(auto executor, MakeExecutor(config, PoolOf(config, role), gpu));
  std::atomic<rpc::WorkerStreamServer*> stream = nullptr;  // what is said before it listens, nobody waits for
  worker::WorkerOptions options = MakeWorkerOptions(config, id, role, folder.PeerSocket(id), gpu);
  LostDevice lost;
  EndWhenLost(options, lost);
  TW_ASSIGN_OR_RETURN(auto worker,
                      worker::Worker::Create(std::move(options), std::move(executor),
                                             std::make_unique<kv_transfer::ShmTransport>(), [&](FromWorker message) {
                                               if (rpc::WorkerStreamServer* s = stream) s->Send(message);
                                             }));
  TW_ASSIGN_OR_RETURN(const auto server,
                      rpc::WorkerStreamServer::Start(folder.WorkerSocket(id),
                                                     {[&] { return worker->hello(); },
                                                      [&](ToWorker message) { worker->Post(std::move(message)); }}));
  stream = server.get();
  std::printf("worker %s: role %s on %s%s%s, %d KV blocks, context %d\n", id.c_str(), role_name.c_str(),
              worker->hello().device.c_str(), gpu ? " = " : "", gpu ? gpu->uuid.c_str() : "", worker->hello().kv_blocks,
              worker->hello().context_length);
  std::fflush(stdout);
  WaitForStop();
  server->Stop();
  worker->Stop();
  return lost.status;
}

}  // namespace

int RunWorker(int argc, char** argv) {
  launch::DieWithParent();
  BlockStopSignals();
  CLI::App app(
      "One worker of a cluster; `up` starts it.\n\nexample:\n  tokenworks worker --run DIR --id decode-0 --role "
      "decode");
  std::string run, id, role = "mixed", gpu;
  app.add_option("--run", run, "the cluster's run folder")->required();
  app.add_option("--id", id, "the worker's id")->required();
  app.add_option("--role", role, "prefill, decode, mixed or parked");
  app.add_option("--gpu", gpu, "UUID of its GPU, where the role's pool has device: cuda (default: the first)");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const Status status = Serve(run, id, role, gpu);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace tokenworks::apps
