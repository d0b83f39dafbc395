// SPDX-License-Identifier: Apache-2.0
// The router's shell: one thread that drives RouterCore, workers' links on one side and sinks on the other.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "router/cluster_status.h"
#include "router/generation_backend.h"
#include "router/router_options.h"
#include "tokenworks/worker_link.h"

namespace tokenworks::router {

// Thread-safe. Sinks and callbacks run on the router's thread.
class Router final : public GenerationBackend {
 public:
  // InvalidArgument names an unknown policy.
  static StatusOr<std::unique_ptr<Router>> Create(RouterOptions options);
  // Ends what is active with Unavailable, stops the links and joins the thread.
  ~Router() override;

  // Names a worker that is expected, with the role it will come up in, and starts its link.
  Status AddWorkerLink(WorkerId worker, WorkerRole role, std::unique_ptr<WorkerLink> link);

  RequestId Submit(GenerationRequest request, std::shared_ptr<TokenSink> sink, SeedSource seed) override;
  void Cancel(RequestId id, std::optional<uint32_t> sequence, CancelReason reason,
              uint32_t kept_tokens = kKeepAll) override;
  // Ok once the worker has reported the role. NotFound, Unavailable.
  void SetRole(WorkerId worker, WorkerRole role, std::function<void(Status)> done);
  // `http` and `grpc` of the status.
  void SetAddresses(std::string http, std::string grpc);
  void GetStatus(std::function<void(ClusterStatus)> done);

 private:
  struct Shell;
  explicit Router(std::unique_ptr<Shell> shell);
  std::unique_ptr<Shell> shell_;
};

}  // namespace tokenworks::router
