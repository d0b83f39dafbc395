// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "platform/rpc/request_codec.h"
#include "platform/rpc/worker_codec.h"

namespace tokenworks::rpc {
namespace {

const TimePoint kNow = ManualClock().Now();

GenerationRequest Request() {
  GenerationRequest r;
  r.id = {0xFFFFFFFFFFFFFFF1ull};
  r.epoch = 3;
  r.external_id = "req-1";
  r.model = "m";
  r.adapter = "a";
  r.tenant = "t";
  r.cache_salt = std::string("s\0\xFF", 3);
  r.session = "session";
  r.priority = -4;
  r.deadline = kNow + std::chrono::milliseconds(1500);
  r.trace_parent = "00-trace";
  r.prompt = {1, 2, 49151};
  r.n = 2;
  r.emitted = {{7, 8}, {}};
  r.sampling.temperature = 0.25f;
  r.sampling.top_k = 5;
  r.sampling.top_p = 0.5f;
  r.sampling.min_p = 0.125f;
  r.sampling.repetition_penalty = 1.5f;
  r.sampling.frequency_penalty = -0.5f;
  r.sampling.presence_penalty = 0.75f;
  r.sampling.logit_bias = {{3, -100.f}, {4, 1.f}};
  r.sampling.seed = 0x8000000000000001ull;
  r.sampling.logprobs = 0;
  r.sampling.max_tokens = 9;
  r.sampling.min_tokens = 2;
  r.sampling.ignore_eos = true;
  r.sampling.stop_token_ids = {0, 2};
  return r;
}

TEST(Codec, AnAssignKeepsEveryField) {
  Assign in{Request(), Route::kHandoff, {"decode-1", 0xABCDEF0123456789ull, "/run/x.sock"}};
  worker::ToWorker wire;
  ToWire(ToWorker(in), kNow, &wire);
  const auto later = kNow + std::chrono::hours(5);  // another host's clock
  auto out = FromWire(wire, later);
  ASSERT_TRUE(out.ok()) << out.status();
  const Assign& a = std::get<Assign>(*out);
  const GenerationRequest &x = in.request, &y = a.request;
  EXPECT_EQ(std::tie(x.id, x.epoch, x.external_id, x.model, x.adapter, x.tenant, x.cache_salt, x.session, x.priority,
                     x.trace_parent, x.prompt, x.n, x.emitted),
            std::tie(y.id, y.epoch, y.external_id, y.model, y.adapter, y.tenant, y.cache_salt, y.session, y.priority,
                     y.trace_parent, y.prompt, y.n, y.emitted));
  EXPECT_EQ(y.deadline, later + std::chrono::milliseconds(1500));
  const SamplingParams &s = x.sampling, &t = y.sampling;
  EXPECT_EQ(
      std::tie(s.temperature, s.top_k, s.top_p, s.min_p, s.repetition_penalty, s.frequency_penalty, s.presence_penalty,
               s.logit_bias, s.seed, s.logprobs, s.max_tokens, s.min_tokens, s.ignore_eos, s.stop_token_ids),
      std::tie(t.temperature, t.top_k, t.top_p, t.min_p, t.repetition_penalty, t.frequency_penalty, t.presence_penalty,
               t.logit_bias, t.seed, t.logprobs, t.max_tokens, t.min_tokens, t.ignore_eos, t.stop_token_ids));
  EXPECT_EQ(a.route, Route::kHandoff);
  EXPECT_EQ(std::tie(a.decode.worker, a.decode.incarnation, a.decode.socket_path),
            std::tie(in.decode.worker, in.decode.incarnation, in.decode.socket_path));
}

TEST(Codec, NoDeadlineStaysNone) {
  GenerationRequest in = Request(), out;
  in.deadline = TimePoint::max();
  wire::GenerationRequest wire;
  ToWire(in, kNow, &wire);
  ASSERT_TRUE(FromWire(wire, kNow, &out).ok());
  EXPECT_EQ(out.deadline, TimePoint::max());
}

TEST(Codec, ACancelOfOneSequenceIsNotOneOfAll) {
  for (const std::optional<uint32_t> sequence :
       {std::optional<uint32_t>(), std::optional<uint32_t>(0), std::optional<uint32_t>(2)}) {
    worker::ToWorker wire;
    ToWire(ToWorker(Cancel{{5}, 2, sequence, CancelReason::kStopString}), kNow, &wire);
    const auto out = FromWire(wire, kNow);
    ASSERT_TRUE(out.ok());
    EXPECT_EQ(std::get<Cancel>(*out).sequence, sequence);
    EXPECT_EQ(std::get<Cancel>(*out).reason, CancelReason::kStopString);
  }
}

TEST(Codec, MessagesOfAWorkerGather) {
  FromWorker first, second;
  first.deltas.push_back({{1}, 2, 3, 4, {{5, -0.5f, {{6, -1.f}}}}, FinishReason::kLength});
  first.report.emplace().steps = 10;
  second.deltas.push_back({{1}, 2, 3, 5, {{7, -0.f, {}}}, FinishReason::kNone});
  second.ended.push_back({{9}, 1, true, absl::UnavailableError("gone"), {1, 2, 3, 4}, 32});
  second.report.emplace().steps = 11;
  second.report->kv.leaked = 1;
  second.report->wires.push_back({"decode-0", "shm", 2.5});
  second.report->gpu = GpuReading{.utilization = 0.5, .energy_joules = 12.5, .memory_used = uint64_t{1} << 40};
  second.report->step = StepReport{512, RowsChoice::kLatency, 15.2, 6.5};
  worker::FromWorker wire;
  AppendToWire(first, &wire);
  AppendToWire(second, &wire);
  const auto out = FromWire(wire);
  ASSERT_TRUE(out.ok());
  ASSERT_EQ(out->deltas.size(), 2u);
  EXPECT_EQ(out->deltas[0].tokens, first.deltas[0].tokens);
  EXPECT_EQ(out->deltas[0].finish, FinishReason::kLength);
  EXPECT_TRUE(std::signbit(out->deltas[1].tokens[0].logprob));
  ASSERT_EQ(out->ended.size(), 1u);
  EXPECT_EQ(out->ended[0].status, second.ended[0].status);
  EXPECT_EQ(out->ended[0].timings.handoff_ms, 3);
  EXPECT_EQ(out->report->steps, 11u);
  EXPECT_EQ(out->report->kv.leaked, 1);
  EXPECT_EQ(out->report->wires.size(), 1u);
  EXPECT_EQ(out->report->step, second.report->step);
  EXPECT_EQ(out->report->gpu, second.report->gpu) << "what is absent stays absent";
}

TEST(Codec, AWorkerThatHasChosenNoStepSaysNone) {
  FromWorker in;
  in.report.emplace();
  worker::FromWorker wire;
  AppendToWire(in, &wire);
  EXPECT_FALSE(FromWire(wire)->report->step);
  wire.mutable_report()->mutable_step()->set_choice(99);
  EXPECT_FALSE(FromWire(wire).ok());
}

TEST(Codec, RefusesWhatNoSenderOfOursWrites) {
  worker::ToWorker wire;
  EXPECT_FALSE(FromWire(wire, kNow).ok()) << "no kind at all";
  wire.mutable_set_role()->set_role(99);
  EXPECT_FALSE(FromWire(wire, kNow).ok());
  ToWire(ToWorker(Assign{Request(), Route::kLocal, {}}), kNow, &wire);
  wire.mutable_assign()->mutable_request()->clear_prompt();
  EXPECT_FALSE(FromWire(wire, kNow).ok());
  ToWire(ToWorker(Assign{Request(), Route::kLocal, {}}), kNow, &wire);
  wire.mutable_assign()->mutable_request()->set_n(1u << 30);
  EXPECT_FALSE(FromWire(wire, kNow).ok());
}

}  // namespace
}  // namespace tokenworks::rpc
