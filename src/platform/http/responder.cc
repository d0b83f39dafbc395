// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/post.hpp>

#include "platform/http/connection.h"

namespace tokenworks::http {
namespace {

class ConnectionResponder final : public Responder {
 public:
  ConnectionResponder(const std::shared_ptr<Loop>& loop, const std::shared_ptr<Connection>& connection, uint64_t ticket)
      : loop_(loop), connection_(connection), ticket_(ticket) {}

  ~ConnectionResponder() override {
    Post([weak = connection_, ticket = ticket_] {
      auto c = weak.lock();
      if (!c || !c->Current(ticket)) return;
      if (c->streaming()) return c->Close();
      c->SendWhole(c->shared().Error(500, "The request was dropped without an answer."));
    });
  }

  void Send(Response response) override {
    if (auto c = Live()) c->SendWhole(std::move(response));
  }
  void BeginStream(int status, std::string content_type, Headers headers) override {
    if (auto c = Live()) c->BeginStream(status, content_type, headers);
  }
  bool Write(std::string_view data) override {
    auto c = Live();
    return c && c->WriteChunk(data);
  }
  void End(std::string_view last) override {
    if (auto c = Live()) c->EndStream(last);
  }
  bool Alive() const override { return Live() != nullptr; }
  void Break() override {
    if (auto c = Live()) c->Close();
  }
  void OnClose(std::function<void()> closed) override {
    if (auto c = Live()) c->SetOnClose(std::move(closed));
  }
  void Post(std::function<void()> task) override {
    if (auto loop = loop_.lock(); loop && !loop->stopped) net::post(loop->context, std::move(task));
  }
  void PostAfter(std::chrono::milliseconds delay, std::function<void()> task) override {
    Post([weak = loop_, delay, task = std::move(task)] {
      auto loop = weak.lock();
      if (!loop) return;
      auto timer = std::make_shared<net::steady_timer>(loop->context, delay);
      timer->async_wait([timer, task](boost::system::error_code error) {
        if (!error) task();
      });
    });
  }

 private:
  std::shared_ptr<Connection> Live() const {
    auto c = connection_.lock();
    return c && c->Current(ticket_) ? c : nullptr;
  }

  std::weak_ptr<Loop> loop_;  // queued tasks may hold this responder: a strong one would be a cycle
  std::weak_ptr<Connection> connection_;
  uint64_t ticket_;
};

}  // namespace

std::shared_ptr<Responder> MakeResponder(std::shared_ptr<Loop> loop, const std::shared_ptr<Connection>& connection,
                                         uint64_t ticket) {
  return std::make_shared<ConnectionResponder>(loop, connection, ticket);
}

}  // namespace tokenworks::http
