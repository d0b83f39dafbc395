// SPDX-License-Identifier: Apache-2.0
#include "platform/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "http_client.h"

namespace tokenworks::http {
namespace {

using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

ServerOptions Quick() {
  ServerOptions o;
  o.max_header_bytes = 4096;
  o.max_body_bytes = 100'000;
  o.header_timeout = o.body_timeout = milliseconds(200);
  o.error_body = [](int status, const std::string& sentence) { return std::to_string(status) + " " + sentence; };
  return o;
}

class ServerTest : public testing::Test {
 protected:
  void Serve(ServerOptions options = Quick()) {
    server_ = std::make_unique<Server>(std::move(options));
    server_->Route("POST", "/echo", [](Request request, std::shared_ptr<Responder> responder) {
      responder->Send({.body = request.body});
    });
    server_->Route("GET", "/item/{id}", [](Request request, std::shared_ptr<Responder> responder) {
      responder->Send({.body = request.captures[0]});
    });
    server_->Route("GET", "/dropped", [](Request, std::shared_ptr<Responder>) {});
    server_->Route("GET", "/three", [](Request, std::shared_ptr<Responder> responder) {
      responder->BeginStream(200, "text/event-stream", {});
      responder->Write("one");
      responder->Write("two");
      responder->End("three");
    });
    server_->Route("GET", "/open", [this](Request, std::shared_ptr<Responder> responder) {
      responder->OnClose([this] { closed_.set_value(); });
      responder->BeginStream(200, "text/event-stream", {});
      responder->Write("begun");
      open_.set_value(responder);
    });
    ASSERT_TRUE(server_->Start().ok());
  }
  std::string Ask(const std::string& bytes) {
    RawClient client(server_->port());
    client.Send(bytes);
    return client.ReadAnswer();
  }

  std::promise<std::shared_ptr<Responder>> open_;
  std::promise<void> closed_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, KeepsAliveAndAnswersPipelinedRequestsInOrder) {
  Serve();
  RawClient client(server_->port());
  client.Send(Post("/echo", "first") + Get("/three") + Post("/echo", "second"));
  EXPECT_THAT(client.ReadAnswer(), EndsWith("\r\n\r\nfirst"));
  EXPECT_THAT(client.ReadAnswer(), EndsWith("3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"));
  EXPECT_THAT(client.ReadAnswer(), EndsWith("\r\n\r\nsecond"));
}

TEST_F(ServerTest, TakesChunkedBodiesAndSingleBytes) {
  Serve();
  EXPECT_THAT(
      Ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
      EndsWith("\r\n\r\nabcde"));
  RawClient client(server_->port());
  for (const char c : Post("/echo", "slowly")) client.Send(std::string_view(&c, 1));
  EXPECT_THAT(client.ReadAnswer(), EndsWith("\r\n\r\nslowly"));
}

TEST_F(ServerTest, ContinuesOnlyWhatItWillTake) {
  Serve();
  RawClient client(server_->port());
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("ok");
  EXPECT_THAT(client.ReadAnswer(), EndsWith("\r\n\r\nok"));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\nExpect: 100-continue\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerTest, RefusesWhatIsTooLargeOrNoHttp) {
  Serve();
  EXPECT_THAT(Ask(Post("/echo", std::string(1'000'000, 'a'))), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask(Post("/echo", "", "X: " + std::string(8000, 'a') + "\r\n")), StartsWith("HTTP/1.1 431 "));
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += "A" + std::to_string(i) + ": b\r\n";
  EXPECT_THAT(Ask(Post("/echo", "", flood)), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Ask("hello\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask(Post("/echo", "still")), EndsWith("still"));
}

TEST_F(ServerTest, SlowRequestsTimeOut) {
  Serve();
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHo"), StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"), StartsWith("HTTP/1.1 408 "));
}

TEST_F(ServerTest, RoutesByMethodAndPath) {
  Serve();
  EXPECT_THAT(Ask(Get("/nothing")), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask(Get("/echo")), testing::AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: POST, OPTIONS")));
  EXPECT_THAT(Ask(Get("/item/a%20b?q=1")), EndsWith("\r\n\r\na b"));
  EXPECT_THAT(Ask("OPTIONS /echo HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 204 "));
  RawClient client(server_->port());
  client.Send("HEAD /item/abc HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, testing::AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Content-Length: 3")));
  client.Send(Get("/item/x"));
  EXPECT_THAT(client.ReadAnswer(), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, AHandlerThatForgetsIsA500) {
  Serve();
  EXPECT_THAT(Ask(Get("/dropped")), StartsWith("HTTP/1.1 500 "));
}

TEST_F(ServerTest, NoticesAClientThatLeavesAStream) {
  Serve();
  RawClient client(server_->port());
  client.Send(Get("/open"));
  client.ReadUntil("begun");
  client.Close();
  EXPECT_EQ(closed_.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(ServerTest, AReaderThatIsTooFarBehindIsClosed) {
  ServerOptions o = Quick();
  o.max_pending_output_bytes = 1 << 20;
  Serve(o);
  RawClient client(server_->port(), 4096);
  client.Send(Get("/open"));
  auto responder = open_.get_future().get();
  std::promise<int> refused;
  responder->Post([&] {
    int writes = 0;
    while (responder->Write(std::string(65536, 'x')) && ++writes < 1000) {
    }
    refused.set_value(writes);
  });
  EXPECT_LT(refused.get_future().get(), 100);
  EXPECT_EQ(closed_.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(ServerTest, AReaderThatStopsIsClosedAfterTheWriteTimeout) {
  ServerOptions o = Quick();
  o.write_timeout = milliseconds(200);
  o.max_pending_output_bytes = 64 << 20;
  Serve(o);
  RawClient client(server_->port(), 4096);
  client.Send(Get("/open"));
  auto responder = open_.get_future().get();
  responder->Post([responder] { responder->Write(std::string(32 << 20, 'x')); });
  EXPECT_EQ(closed_.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(ServerTest, BrokenStreamsHaveNoEnd) {
  Serve();
  RawClient client(server_->port());
  client.Send(Get("/open"));
  client.ReadUntil("begun\r\n");
  auto responder = open_.get_future().get();
  responder->Post([responder] { responder->Break(); });
  EXPECT_EQ(client.ReadAll(), "");
}

TEST_F(ServerTest, ShutdownLetsStreamsEnd) {
  Serve();
  RawClient client(server_->port()), idle(server_->port());
  client.Send(Get("/open"));
  client.ReadUntil("begun\r\n");
  auto responder = open_.get_future().get();
  std::thread shutdown([this] { server_->Shutdown(std::chrono::seconds(10)); });
  EXPECT_EQ(idle.ReadAll(), "");
  responder->Post([responder] { responder->End("last"); });
  EXPECT_EQ(client.ReadAll(), "4\r\nlast\r\n0\r\n\r\n");
  client.Close();
  shutdown.join();
  EXPECT_FALSE(RawClient(server_->port()).connected());
}

TEST_F(ServerTest, ServesOnSeveralThreads) {
  ServerOptions o = Quick();
  o.threads = 3;
  Serve(o);
  std::vector<std::future<bool>> all;
  for (int i = 0; i < 8; ++i)
    all.push_back(std::async(std::launch::async, [&] {
      bool right = true;
      for (int j = 0; j < 20; ++j) right &= Ask(Post("/echo", "hello")).ends_with("hello");
      return right;
    }));
  for (auto& one : all) EXPECT_TRUE(one.get());
}

TEST(ServerStart, SaysWhyItCannotBind) {
  Server first{ServerOptions{}};
  ASSERT_TRUE(first.Start().ok());
  ServerOptions same;
  same.port = first.port();
  const Status in_use = Server(same).Start();
  EXPECT_EQ(in_use.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(in_use.message()), HasSubstr("in use"));
  ServerOptions open;
  open.host = "0.0.0.0";
  EXPECT_THAT(std::string(Server(open).Start().message()), HasSubstr("--insecure"));
  ServerOptions name;
  name.host = "not an address";
  EXPECT_EQ(Server(name).Start().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tokenworks::http
