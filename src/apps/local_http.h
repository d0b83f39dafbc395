// SPDX-License-Identifier: Apache-2.0
// A small blocking HTTP/1.1 client for the commands that talk to a cluster on this host.
#pragma once

#include <functional>
#include <string>

#include "launch/run_folder.h"
#include "tokenworks/status.h"

namespace tokenworks::apps {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// `line`, when given, gets every body line as it comes (server-sent events) and the body stays empty.
StatusOr<HttpAnswer> Http(int port, const std::string& method, const std::string& path, const std::string& body = "",
                          const std::function<void(const std::string&)>& line = {});

// The HTTP port of a running cluster. NotFound with what to do.
StatusOr<int> ClusterPort(const std::string& name);

}  // namespace tokenworks::apps
