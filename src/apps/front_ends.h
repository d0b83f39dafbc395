// SPDX-License-Identifier: Apache-2.0
// HTTP and gRPC in front of a router: what `router` and `serve` share.
#pragma once

#include <memory>
#include <string>

#include "launch/cluster_config.h"
#include "router/router.h"
#include "tokenworks/status.h"

namespace tokenworks::apps {

class FrontEnds {
 public:
  // Reads tokenizer and template from the configuration's model file, binds both ports and serves. Borrows the router.
  static StatusOr<std::unique_ptr<FrontEnds>> Start(const launch::ClusterConfig& config, router::Router& router);
  ~FrontEnds();  // lets answers in progress end for a few seconds

  int http_port() const;
  int grpc_port() const;

 private:
  struct Parts;
  explicit FrontEnds(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// The router's options that the configuration decides.
StatusOr<router::RouterOptions> MakeRouterOptions(const launch::ClusterConfig& config);

}  // namespace tokenworks::apps
