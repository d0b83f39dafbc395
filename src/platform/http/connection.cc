// SPDX-License-Identifier: Apache-2.0
#include "platform/http/connection.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cctype>

#include "platform/base/str_cat.h"

namespace tokenworks::http {
namespace {

namespace beast = boost::beast;
constexpr size_t kReadAhead = 64u << 10;  // pipelined bytes kept while an answer is in progress
constexpr size_t kLingerBytes = 64u << 20;
constexpr std::chrono::seconds kLingerTime{5};

std::string LowerCase(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

}  // namespace

Connection::Connection(std::shared_ptr<Loop> loop, std::shared_ptr<const Shared> shared, net::ip::tcp::socket socket)
    : loop_(std::move(loop)), shared_(std::move(shared)), socket_(std::move(socket)), event_(loop_->context) {
  loop_->connections.insert(this);
  boost::system::error_code ignored;
  socket_.set_option(net::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
}

Connection::~Connection() {
  loop_->connections.erase(this);
  --const_cast<Shared*>(shared_.get())->connections;
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (auto closed = std::exchange(on_close_, nullptr); closed && answering_) closed();
  Notify();
}

void Connection::CloseSoon() {
  close_soon_ = true;
  if (!answering_ && in_.empty() && out_.empty() && !write_pending_) Close();
  Notify();
}

void Connection::StartRead() {
  if (reading_ || end_of_input_ || closed_ || in_.size() >= kReadAhead) return;
  reading_ = true;
  socket_.async_read_some(net::buffer(read_buffer_),
                          [self = shared_from_this()](boost::system::error_code error, size_t size) {
                            self->reading_ = false;
                            self->in_.append(self->read_buffer_.data(), size);
                            if (error) self->end_of_input_ = true;
                            if (self->answering_) self->StartRead();
                            self->Notify();
                          });
}

void Connection::StartWrite() {
  if (write_pending_ || closed_) return;
  if (written_ == writing_.size()) {
    if (out_.empty()) return;
    writing_.clear();
    written_ = 0;
    writing_.swap(out_);
  }
  write_pending_ = true;
  progress_ = Clock::now();
  socket_.async_write_some(net::buffer(writing_.data() + written_, writing_.size() - written_),
                           [self = shared_from_this()](boost::system::error_code error, size_t size) {
                             self->write_pending_ = false;
                             self->written_ += size;
                             if (error) return self->Close();
                             self->StartWrite();
                             if (!self->write_pending_) self->Notify();
                           });
}

net::awaitable<void> Connection::Wait(Clock::time_point until) {
  event_.expires_at(until);
  co_await event_.async_wait(net::as_tuple(net::use_awaitable));
}

net::awaitable<void> Connection::Run() {
  while (!closed_) {
    Request request;
    if (!co_await ReadRequest(&request)) break;
    Dispatch(std::move(request));
    co_await FinishAnswer();
    if (!keep_alive_ || close_soon_) break;
  }
  co_await Linger();
  Close();
}

// Feeds buffered bytes. True when the request is complete or `error` is set.
bool Connection::Feed(Parser& parser, beast::error_code* error) {
  size_t used = 0;
  while (used < in_.size() && !parser.is_done() && !*error)
    used += parser.put(net::buffer(in_.data() + used, in_.size() - used), *error);
  if (*error == beast::http::error::need_more) {
    *error = {};
    // The parser wants the whole header in one piece: unread bytes stay.
    if (!parser.is_header_done() && in_.size() - used >= shared_->options.max_header_bytes)
      *error = beast::http::error::header_limit;
  }
  in_.erase(0, used);
  return *error || parser.is_done();
}

void Connection::Refuse(const beast::error_code& error) {
  keep_alive_ = false;
  answering_ = true;
  const ServerOptions& o = shared_->options;
  if (error == beast::http::error::header_limit || error == beast::http::error::buffer_overflow)
    SendWhole(shared_->Error(431, base::StrCat("The request header is larger than ", o.max_header_bytes, " bytes.")));
  else if (error == beast::http::error::body_limit)
    SendWhole(shared_->Error(413, base::StrCat("The request body is larger than ", o.max_body_bytes, " bytes.")));
  else if (error == net::error::timed_out)
    SendWhole(shared_->Error(408, "The request did not arrive in time."));
  else
    SendWhole(shared_->Error(400, base::StrCat("The request is not HTTP/1.1: ", error.message(), ".")));
}

net::awaitable<bool> Connection::ReadRequest(Request* request) {
  const ServerOptions& o = shared_->options;
  Parser parser;
  parser.eager(true);
  parser.header_limit(static_cast<uint32_t>(o.max_header_bytes));
  parser.body_limit(o.max_body_bytes);
  Clock::time_point deadline = Clock::now() + (in_.empty() ? o.idle_timeout : o.header_timeout);
  bool started = !in_.empty(), continued = false;
  beast::error_code error;
  while (!Feed(parser, &error)) {
    if (parser.is_header_done() && !continued) {
      continued = true;
      if (LowerCase(std::string_view(parser.get()["Expect"].data(), parser.get()["Expect"].size())) == "100-continue") {
        out_ += "HTTP/1.1 100 Continue\r\n\r\n";
        StartWrite();
      }
    }
    if (end_of_input_ || closed_ || (close_soon_ && !started)) co_return false;
    const size_t before = in_.size();
    StartRead();
    co_await Wait(deadline);
    if (closed_) co_return false;
    if (in_.size() > before) {
      if (!std::exchange(started, true)) deadline = Clock::now() + o.header_timeout;
      if (parser.is_header_done()) deadline = Clock::now() + o.body_timeout;
    } else if (Clock::now() >= deadline) {
      if (!started) co_return false;
      error = net::error::timed_out;
      break;
    }
  }
  if (error) {
    Refuse(error);
    co_await FinishAnswer();
    co_return false;
  }
  auto message = parser.release();
  keep_alive_ = message.keep_alive();
  chunked_ = message.version() >= 11;
  head_only_ = message.method() == beast::http::verb::head;
  request->method = std::string(message.method_string());
  for (const auto& field : message)
    request->headers.emplace_back(LowerCase(std::string_view(field.name_string().data(), field.name_string().size())),
                                  std::string(field.value()));
  std::string target(message.target());
  const size_t question = target.find('?');
  if (question != std::string::npos) request->query = target.substr(question + 1);
  if (!PercentDecode(std::string_view(target).substr(0, question), &request->path)) {
    Refuse(beast::http::make_error_code(beast::http::error::bad_target));
    co_await FinishAnswer();
    co_return false;
  }
  request->body = std::move(message.body());
  co_return true;
}

void Connection::Dispatch(Request request) {
  answering_ = true;
  streaming_ = false;
  ++ticket_;
  StartRead();
  Routes::Match match = shared_->routes.Find(request.method, request.path);
  if (match.handler) {
    request.captures = std::move(match.captures);
    return (*match.handler)(std::move(request), MakeResponder(loop_, shared_from_this(), ticket_));
  }
  Response response;
  if (match.allow.empty()) {
    response = shared_->Error(404, base::StrCat("There is nothing at ", request.method, " ", request.path, "."));
  } else if (request.method == "OPTIONS") {
    response.status = 204;
  } else {
    response = shared_->Error(405, base::StrCat(request.path, " takes ", match.allow, ", not ", request.method, "."));
  }
  if (!match.allow.empty()) response.headers.emplace_back("Allow", match.allow);
  SendWhole(std::move(response));
}

net::awaitable<void> Connection::FinishAnswer() {
  while (!closed_) {
    if (!answering_ && !write_pending_ && out_.empty()) co_return;
    if (answering_ && end_of_input_) co_return Close();
    const Clock::time_point limit = progress_ + shared_->options.write_timeout;
    if (write_pending_ && Clock::now() >= limit) co_return Close();
    co_await Wait(write_pending_ ? limit : Clock::now() + shared_->options.write_timeout);
  }
}

// A client that still sends must not have its answer destroyed by a reset.
net::awaitable<void> Connection::Linger() {
  if (closed_ || end_of_input_) co_return;
  boost::system::error_code ignored;
  socket_.shutdown(net::ip::tcp::socket::shutdown_send, ignored);
  const Clock::time_point deadline = Clock::now() + (loop_->closing ? std::chrono::seconds(0) : kLingerTime);
  size_t dropped = 0;
  while (!closed_ && !end_of_input_ && dropped < kLingerBytes && Clock::now() < deadline) {
    dropped += in_.size();
    in_.clear();
    StartRead();
    co_await Wait(deadline);
  }
}

void Connection::AppendHead(int status, const std::string& content_type, const Headers& headers) {
  out_ += base::StrCat("HTTP/1.1 ", status, " ", ReasonPhrase(status), "\r\n");
  if (!content_type.empty()) out_ += base::StrCat("Content-Type: ", content_type, "\r\n");
  for (const auto& [name, value] : headers) out_ += base::StrCat(name, ": ", value, "\r\n");
  if (close_soon_) keep_alive_ = false;
  if (!keep_alive_) out_ += "Connection: close\r\n";
}

void Connection::SendWhole(Response response) {
  AppendHead(response.status, response.status == 204 ? "" : response.content_type, response.headers);
  if (response.status != 204) out_ += base::StrCat("Content-Length: ", response.body.size(), "\r\n");
  out_ += "\r\n";
  if (!head_only_ && response.status != 204) out_ += response.body;
  answering_ = false;
  on_close_ = nullptr;
  StartWrite();
  Notify();
}

void Connection::BeginStream(int status, const std::string& content_type, const Headers& headers) {
  if (!chunked_) keep_alive_ = false;
  AppendHead(status, content_type, headers);
  out_ += chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n";
  streaming_ = true;
}

bool Connection::WriteChunk(std::string_view data) {
  if (data.empty()) return true;
  if (chunked_) fmt::format_to(std::back_inserter(out_), "{:x}\r\n", data.size());
  out_ += data;
  if (chunked_) out_ += "\r\n";
  StartWrite();
  if (out_.size() <= shared_->options.max_pending_output_bytes) return true;
  Close();
  return false;
}

void Connection::EndStream(std::string_view last) {
  if (!last.empty()) {
    if (chunked_) fmt::format_to(std::back_inserter(out_), "{:x}\r\n", last.size());
    out_ += last;
    if (chunked_) out_ += "\r\n";
  }
  if (chunked_) out_ += "0\r\n\r\n";
  answering_ = false;
  on_close_ = nullptr;
  StartWrite();
  Notify();
}

}  // namespace tokenworks::http
