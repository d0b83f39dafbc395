// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 server for JSON calls and event streams. Slow, vanishing and hostile clients hold nobody else up.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "platform/http/message.h"
#include "tokenworks/status.h"

namespace tokenworks::http {

// Answers one request: Send once, or BeginStream, Write…, End. Only Post and PostAfter may be called from any thread;
// everything else runs on the connection's thread (where handlers and posted functions run). If it is destroyed
// unanswered the client gets a 500, or a stream broken in its framing.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void Send(Response response) = 0;
  // Status and headers of a chunked answer; they leave with the first Write.
  virtual void BeginStream(int status, std::string content_type, Headers headers) = 0;
  // One chunk. False when the client is gone or too far behind (its connection is then closed).
  virtual bool Write(std::string_view data) = 0;
  // `last` and the end of the stream in one write.
  virtual void End(std::string_view last) = 0;
  // False once the client is gone; what is written then goes nowhere.
  virtual bool Alive() const = 0;
  // Closes without an end of stream, so that the client sees a failure.
  virtual void Break() = 0;
  // Called once if the client goes away before the answer is complete.
  virtual void OnClose(std::function<void()> closed) = 0;
  virtual void Post(std::function<void()> task) = 0;
  virtual void PostAfter(std::chrono::milliseconds delay, std::function<void()> task) = 0;
};

using Handler = std::function<void(Request, std::shared_ptr<Responder>)>;
// The body of an answer that the server itself gives: 400, 404, 405, 408, 413, 431, 500, 503.
using ErrorBody = std::function<std::string(int status, const std::string& sentence)>;

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;      // 0 = any free one
  bool insecure = false;  // allows a host that is not loopback
  int threads = 1;
  size_t max_header_bytes = 32u << 10;
  size_t max_body_bytes = 8u << 20;
  size_t max_pending_output_bytes = 4u << 20;  // per connection, beyond what the kernel holds
  size_t max_connections = 8192;
  std::chrono::milliseconds idle_timeout{120'000};
  std::chrono::milliseconds header_timeout{20'000};  // first byte to end of header
  std::chrono::milliseconds body_timeout{60'000};    // without progress
  std::chrono::milliseconds write_timeout{30'000};   // without progress
  ErrorBody error_body;                              // empty: a plain {"error":{"message":…}}
};

class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();  // as Shutdown(0)
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // `path` may hold `{name}` for one segment, or end in `{name...}` for the rest. Before Start only.
  void Route(std::string method, std::string path, Handler handler);
  // Binds, listens and serves on threads of its own. InvalidArgument for a host that is no address or not loopback,
  // AlreadyExists for a port in use.
  Status Start();
  uint16_t port() const;
  // Stops accepting, closes idle connections, waits up to `grace` for answers in progress, then closes the rest.
  void Shutdown(std::chrono::milliseconds grace);
  size_t connections() const;  // any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tokenworks::http
