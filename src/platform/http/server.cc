// SPDX-License-Identifier: Apache-2.0
#include "platform/http/server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "platform/base/str_cat.h"
#include "platform/http/connection.h"

namespace tokenworks::http {

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
  }
  return status < 400 ? "OK" : "Error";
}

Response Shared::Error(int status, const std::string& sentence) const {
  Response response;
  response.status = status;
  response.body = options.error_body ? options.error_body(status, sentence)
                                     : base::StrCat("{\"error\":{\"message\":\"status ", status, "\"}}");
  return response;
}

struct Server::Impl {
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
  std::vector<std::shared_ptr<Loop>> loops;
  std::vector<std::thread> threads;
  std::optional<net::ip::tcp::acceptor> acceptor;
  uint16_t port = 0;
  bool running = false;

  Status Listen();
  net::awaitable<void> Accept();
  // Runs `task(loop)` on every loop's thread and waits.
  template <typename F>
  void OnEveryLoop(F task);
};

Status Server::Impl::Listen() {
  const ServerOptions& o = shared->options;
  boost::system::error_code error;
  const std::string host = o.host == "localhost" ? "127.0.0.1" : o.host;
  const net::ip::address address = net::ip::make_address(host, error);
  if (error)
    return absl::InvalidArgumentError(base::StrCat(
        "http.host is '", o.host, "', which is no IP address; use 127.0.0.1 or another address of this machine"));
  if (!address.is_loopback() && !o.insecure)
    return absl::InvalidArgumentError(base::StrCat("http.host is ", o.host,
                                                   ", which other machines can reach, and there are no API keys yet; "
                                                   "bind 127.0.0.1, or add --insecure if that is what you want"));
  const net::ip::tcp::endpoint endpoint(address, o.port);
  acceptor.emplace(loops[0]->context);
  acceptor->open(endpoint.protocol(), error);
  if (!error) acceptor->set_option(net::ip::tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor->bind(endpoint, error);
  if (!error) acceptor->listen(4096, error);
  if (error == net::error::address_in_use)
    return absl::AlreadyExistsError(
        base::StrCat("port ", o.port, " of ", o.host,
                     " is in use by another program; choose another with --port, or 0 for any free one"));
  if (error)
    return absl::UnavailableError(base::StrCat("cannot listen on ", o.host, " port ", o.port, ": ", error.message()));
  port = acceptor->local_endpoint().port();
  return OkStatus();
}

net::awaitable<void> Server::Impl::Accept() {
  for (size_t next = 0;; ++next) {
    std::shared_ptr<Loop> loop = loops[next % loops.size()];
    auto [error, socket] = co_await acceptor->async_accept(loop->context, net::as_tuple(net::use_awaitable));
    if (!acceptor->is_open()) co_return;
    if (error) {  // out of descriptors, or a client that left: wait a little, go on
      net::steady_timer pause(loops[0]->context, std::chrono::milliseconds(20));
      co_await pause.async_wait(net::as_tuple(net::use_awaitable));
      continue;
    }
    if (shared->connections >= shared->options.max_connections) continue;  // closes the socket
    ++shared->connections;
    net::post(
        loop->context, [loop, shared = shared, socket = std::make_shared<net::ip::tcp::socket>(std::move(socket))] {
          auto connection = std::make_shared<Connection>(loop, shared, std::move(*socket));
          if (loop->closing) return;
          net::co_spawn(
              loop->context, [connection]() -> net::awaitable<void> { co_await connection->Run(); }, net::detached);
        });
  }
}

template <typename F>
void Server::Impl::OnEveryLoop(F task) {
  std::mutex mutex;
  std::condition_variable done;
  size_t left = loops.size();
  for (auto& loop : loops) {
    net::post(loop->context, [&, loop] {
      task(*loop);
      std::lock_guard lock(mutex);
      if (--left == 0) done.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return left == 0; });
}

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>()) { impl_->shared->options = std::move(options); }

Server::~Server() { Shutdown(std::chrono::milliseconds(0)); }

void Server::Route(std::string method, std::string path, Handler handler) {
  impl_->shared->routes.Add(std::move(method), std::move(path), std::move(handler));
}

Status Server::Start() {
  for (int i = 0; i < std::max(1, impl_->shared->options.threads); ++i)
    impl_->loops.push_back(std::make_shared<Loop>());
  TW_RETURN_IF_ERROR(impl_->Listen());
  net::co_spawn(impl_->loops[0]->context, impl_->Accept(), net::detached);
  for (auto& loop : impl_->loops)
    impl_->threads.emplace_back([loop] {
      auto guard = net::make_work_guard(loop->context);
      loop->context.run();
    });
  impl_->running = true;
  return OkStatus();
}

uint16_t Server::port() const { return impl_->port; }
size_t Server::connections() const { return impl_->shared->connections; }

void Server::Shutdown(std::chrono::milliseconds grace) {
  if (!std::exchange(impl_->running, false)) return;
  impl_->OnEveryLoop([this](Loop& loop) {
    if (&loop == impl_->loops[0].get()) {
      boost::system::error_code ignored;
      impl_->acceptor->close(ignored);
    }
    loop.closing = true;
    for (Connection* c : std::vector<Connection*>(loop.connections.begin(), loop.connections.end())) c->CloseSoon();
  });
  const auto deadline = std::chrono::steady_clock::now() + grace;
  while (impl_->shared->connections > 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  impl_->OnEveryLoop([](Loop& loop) {
    for (Connection* c : std::vector<Connection*>(loop.connections.begin(), loop.connections.end())) c->Close();
  });
  // Two rounds, so that what the closes have queued runs.
  impl_->OnEveryLoop([](Loop&) {});
  impl_->OnEveryLoop([](Loop& loop) { loop.stopped = true; });
  for (auto& loop : impl_->loops) loop->context.stop();
  for (auto& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

}  // namespace tokenworks::http
