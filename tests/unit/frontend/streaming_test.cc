// SPDX-License-Identifier: Apache-2.0
#include "frontend/openai_http/frontend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_backend.h"

namespace tokenworks::openai_http {
namespace {

using http::Get;
using http::Post;
using http::RawClient;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Frontend, RefusalsOfTheBackendArePlainAnswers) {
  for (const auto& [status, line] : {std::pair(absl::ResourceExhaustedError("The queue is full."), "HTTP/1.1 429 "),
                                     std::pair(absl::UnavailableError("No decode worker."), "HTTP/1.1 503 "),
                                     std::pair(absl::DeadlineExceededError("Too late."), "HTTP/1.1 504 "),
                                     std::pair(absl::InternalError("Broken."), "HTTP/1.1 500 ")}) {
    Service service(
        [status = status](FakeBackend::Submitted s) { s.sink->OnEnd({.status = status, .retry_after_s = 2.5}); });
    const std::string answer = service.Ask(Post(kChat, Chat(",\"stream\":true")));
    EXPECT_THAT(answer, StartsWith(line));
    EXPECT_EQ(answer.find("Retry-After: 3") != std::string::npos,
              status.code() == StatusCode::kResourceExhausted || status.code() == StatusCode::kUnavailable);
    EXPECT_THAT(answer, HasSubstr("x-request-id: "));
  }
}

TEST(Frontend, AStreamThatFailsSaysSo) {
  Service service([](FakeBackend::Submitted) {});
  RawClient client(service.server->port());
  client.Send(Post(kChat, Chat(",\"stream\":true")));
  const auto request = service.backend.WaitForRequest();
  request.sink->OnTokens(Delta(0, 0, "a"));
  client.ReadUntil("\"content\":\"a\"}");
  request.sink->OnEnd({.status = absl::UnavailableError("The decode worker is lost.")});
  const std::string rest = client.ReadUntil("\r\n0\r\n\r\n");
  EXPECT_THAT(rest, HasSubstr("data: {\"error\":{\"message\":\"The decode worker is lost.\""));
  EXPECT_THAT(rest, Not(HasSubstr("[DONE]")));
  EXPECT_THAT(rest, Not(HasSubstr("\"finish_reason\":\"")));
}

TEST(Frontend, AnEndWithoutAllSequencesIsAFailure) {
  Service service([](FakeBackend::Submitted s) {
    s.sink->OnTokens(Delta(0, 0, "a", FinishReason::kLength));
    s.sink->OnEnd(Summary());
  });
  EXPECT_THAT(service.Ask(Post(kChat, Chat(",\"n\":2"))), StartsWith("HTTP/1.1 500 "));
}

TEST(Frontend, StopStringsEndTheStreamBeforeTheWorkerDoes) {
  Service service([](FakeBackend::Submitted s) {
    s.sink->OnTokens(Delta(0, 0, "one tw"));
    s.sink->OnTokens(Delta(0, 6, "o three"));
  });
  const std::string answer = service.Ask(Post(
      kText,
      Completion(",\"stop\":[\"two\"],\"stream\":true,\"max_tokens\":50,\"stream_options\":{\"include_usage\":true}")));
  EXPECT_THAT(answer, HasSubstr("\"text\":\"one \""));
  EXPECT_THAT(answer, Not(HasSubstr("three")));
  EXPECT_THAT(answer, HasSubstr("\"finish_reason\":\"stop\""));
  EXPECT_THAT(answer, HasSubstr("\"completion_tokens\":7"));
  EXPECT_THAT(answer, HasSubstr("[DONE]"));
  const auto cancels = service.backend.WaitForCancels(1);
  ASSERT_EQ(cancels.size(), 1u);
  EXPECT_EQ(cancels[0].sequence, 0u);
  EXPECT_EQ(cancels[0].reason, CancelReason::kStopString);
  EXPECT_EQ(cancels[0].kept, 7u);
}

TEST(Frontend, AClientThatLeavesCancels) {
  for (const char* stream : {"true", "false"}) {
    Service service([](FakeBackend::Submitted) {});
    RawClient client(service.server->port());
    client.Send(Post(kChat, Chat(",\"stream\":" + std::string(stream))));
    const RequestId id = service.backend.WaitForRequest().id;
    client.Close();
    const auto cancels = service.backend.WaitForCancels(1);
    ASSERT_EQ(cancels.size(), 1u);
    EXPECT_EQ(cancels[0].id, id);
    EXPECT_EQ(cancels[0].sequence, std::nullopt);
    EXPECT_EQ(cancels[0].reason, CancelReason::kClientGone);
  }
}

TEST(Frontend, LeavingAfterDoneIsNoCancel) {
  Service service;
  for (int i = 0; i < 20; ++i) {
    RawClient client(service.server->port());
    client.Send(Post(kChat, Chat(",\"stream\":true")));
    EXPECT_THAT(client.ReadUntil("[DONE]"), EndsWith("[DONE]"));
    client.Close();
  }
  service.Ask(Get("/live"));
  service.server->Shutdown(std::chrono::seconds(5));
  EXPECT_TRUE(service.backend.WaitForCancels(0).empty());
}

TEST(Frontend, ALargeBodyIsAnsweredToo) {
  Service service;
  const std::string text = Chat(",\"stream\":true,\"metadata\":\"" + std::string(100'000, 'x') + "\"");
  EXPECT_THAT(service.Ask(Post(kChat, text)), testing::AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("[DONE]")));
  EXPECT_THAT(service.Ask(Post("/tokenize", Chat(",\"metadata\":\"" + std::string(100'000, 'x') + "\""))),
              HasSubstr("\"count\":"));
}

TEST(Frontend, TokensLeaveAsTheyCome) {
  Service service([](FakeBackend::Submitted) {});
  RawClient client(service.server->port());
  client.Send(Post(kChat, Chat(",\"stream\":true")));
  const auto request = service.backend.WaitForRequest();
  request.sink->OnTokens(Delta(0, 0, "a"));
  EXPECT_THAT(client.ReadUntil("\"content\":\"a\"}"), HasSubstr("\"role\":\"assistant\""));
  request.sink->OnTokens(Delta(0, 1, "b", FinishReason::kLength));
  client.ReadUntil("\"content\":\"b\"}");
  request.sink->OnEnd(Summary());
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"),
              testing::AllOf(HasSubstr("\"finish_reason\":\"length\""),
                             HasSubstr("\"timings\":{\"path\":\"disaggregated\""), HasSubstr("[DONE]")));
}

}  // namespace
}  // namespace tokenworks::openai_http
