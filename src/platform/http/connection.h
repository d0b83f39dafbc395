// SPDX-License-Identifier: Apache-2.0
// One accepted socket. Included by this folder's .cc files only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <atomic>
#include <memory>
#include <set>
#include <string>

#include "platform/http/routes.h"
#include "platform/http/server.h"

namespace tokenworks::http {

namespace net = boost::asio;

class Connection;

// One thread's event loop and the connections that live on it.
struct Loop {
  net::io_context context{1};
  std::set<Connection*> connections;  // on the loop's thread only
  std::atomic<bool> stopped{false};
  bool closing = false;  // on the loop's thread only
};

struct Shared {
  ServerOptions options;
  Routes routes;
  std::atomic<size_t> connections{0};
  Response Error(int status, const std::string& sentence) const;
};

// A single reader and a single writer run as callbacks; Run() waits for what they bring. Everything on the loop's
// thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Loop> loop, std::shared_ptr<const Shared> shared, net::ip::tcp::socket socket);
  ~Connection();

  // Serves requests until the connection ends.
  net::awaitable<void> Run();
  // Closes when idle, else after the answer in progress.
  void CloseSoon();
  void Close();

  // The answer of request `ticket`; calls with an old ticket do nothing.
  bool Current(uint64_t ticket) const { return ticket == ticket_ && answering_ && !closed_; }
  void SendWhole(Response response);
  void BeginStream(int status, const std::string& content_type, const Headers& headers);
  bool WriteChunk(std::string_view data);
  void EndStream(std::string_view last);
  bool streaming() const { return streaming_; }
  void SetOnClose(std::function<void()> closed) { on_close_ = std::move(closed); }
  const Shared& shared() const { return *shared_; }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Clock = std::chrono::steady_clock;

  void StartRead();
  void StartWrite();
  void Notify() { event_.cancel(); }
  // Waits for a notification or the time.
  net::awaitable<void> Wait(Clock::time_point until);
  // False: no request came, or it was bad and is answered; the connection then ends.
  net::awaitable<bool> ReadRequest(Request* request);
  bool Feed(Parser& parser, boost::beast::error_code* error);
  void Refuse(const boost::beast::error_code& error);
  void Dispatch(Request request);
  net::awaitable<void> FinishAnswer();
  net::awaitable<void> Linger();
  void AppendHead(int status, const std::string& content_type, const Headers& headers);

  std::shared_ptr<Loop> loop_;
  std::shared_ptr<const Shared> shared_;
  net::ip::tcp::socket socket_;
  net::steady_timer event_;
  std::string in_, out_, writing_;
  size_t written_ = 0;
  std::array<char, 16384> read_buffer_;
  Clock::time_point progress_;  // of the last write
  uint64_t ticket_ = 0;
  std::function<void()> on_close_;
  bool reading_ = false, write_pending_ = false, end_of_input_ = false, closed_ = false;
  bool answering_ = false, streaming_ = false, keep_alive_ = true, head_only_ = false, chunked_ = true,
       close_soon_ = false;
};

std::shared_ptr<Responder> MakeResponder(std::shared_ptr<Loop> loop, const std::shared_ptr<Connection>& connection,
                                         uint64_t ticket);

}  // namespace tokenworks::http
