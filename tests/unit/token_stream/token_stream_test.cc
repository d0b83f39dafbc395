// SPDX-License-Identifier: Apache-2.0
#include "token_stream/token_stream.h"

#include <gtest/gtest.h>

namespace tokenworks::token_stream {
namespace {

TokenDelta Tokens(uint32_t position, size_t count) {
  TokenDelta d;
  d.position = position;
  d.tokens.resize(count);
  return d;
}

struct Fixture {
  int wakes = 0, overflows = 0;
  TokenStream stream{{[this] { ++wakes; }, [this] { ++overflows; }}, 8};
};

TEST(TokenStream, WakesOnceUntilTaken) {
  Fixture f;
  f.stream.OnTokens(Tokens(0, 1));
  f.stream.OnTokens(Tokens(1, 2));
  EXPECT_EQ(f.wakes, 1);
  const auto batch = f.stream.Take();
  ASSERT_EQ(batch.deltas.size(), 2u);
  EXPECT_EQ(batch.deltas[1].position, 1u);
  EXPECT_FALSE(batch.end);
  f.stream.OnTokens(Tokens(3, 1));
  EXPECT_EQ(f.wakes, 2);
}

TEST(TokenStream, GivesTheEndOnceAfterAllTokens) {
  Fixture f;
  f.stream.OnTokens(Tokens(0, 1));
  RequestSummary summary;
  summary.path = "local";
  f.stream.OnEnd(summary);
  const auto batch = f.stream.Take();
  EXPECT_EQ(batch.deltas.size(), 1u);
  ASSERT_TRUE(batch.end);
  EXPECT_EQ(batch.end->path, "local");
  EXPECT_FALSE(f.stream.Take().end);
  f.stream.OnTokens(Tokens(1, 1));
  EXPECT_TRUE(f.stream.Take().deltas.empty());
}

TEST(TokenStream, ASlowConsumerLosesTheStreamOnce) {
  Fixture f;
  for (uint32_t i = 0; i < 4; ++i) f.stream.OnTokens(Tokens(i * 4, 4));
  EXPECT_EQ(f.overflows, 1);
  const auto batch = f.stream.Take();
  EXPECT_TRUE(batch.deltas.empty());
  ASSERT_TRUE(batch.end);
  EXPECT_EQ(batch.end->status.code(), StatusCode::kResourceExhausted);
}

TEST(TokenStream, TakingMakesRoom) {
  Fixture f;
  for (uint32_t i = 0; i < 10; ++i) {
    f.stream.OnTokens(Tokens(i * 8, 8));
    EXPECT_EQ(f.stream.Take().deltas.size(), 1u);
  }
  EXPECT_EQ(f.overflows, 0);
}

TEST(TokenStream, AClosedStreamKeepsNothing) {
  Fixture f;
  f.stream.OnTokens(Tokens(0, 1));
  f.stream.Close();
  f.stream.OnTokens(Tokens(1, 1));
  EXPECT_EQ(f.wakes, 1);
  EXPECT_TRUE(f.stream.Take().deltas.empty());
}

}  // namespace
}  // namespace tokenworks::token_stream
