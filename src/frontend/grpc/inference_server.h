// SPDX-License-Identifier: Apache-2.0
// The public gRPC server: tokenworks.v1.Inference with health and reflection.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "router/generation_backend.h"
#include "text/tokenizer.h"
#include "tokenworks/status.h"

namespace tokenworks::grpc_frontend {

struct InferenceServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;       // 0 = any free one
  std::string model;  // answers to this, to "default" and to no name
  std::vector<std::string> aliases;
  // Asked about once a second; the answer (from any thread) is what the health service says.
  std::function<void(std::function<void(bool)>)> ready;
};

// Thread-safe. Calls the backend from gRPC's threads; tokens become text on one thread of its own.
class InferenceServer {
 public:
  // Borrows both until Stop. Unavailable when the address cannot be listened on.
  static StatusOr<std::unique_ptr<InferenceServer>> Start(InferenceServerOptions options,
                                                          router::GenerationBackend& backend,
                                                          const text::Tokenizer& tokenizer);
  ~InferenceServer();  // Stop

  int port() const;
  // Cancels the calls under way and joins.
  void Stop();

 private:
  struct Impl;
  explicit InferenceServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tokenworks::grpc_frontend
