// SPDX-License-Identifier: Apache-2.0
// Messages between router and worker: refused, or decoded into what encodes to a fixed point.
#include <google/protobuf/stubs/logging.h>

#include "fuzz_target.h"
#include "platform/rpc/worker_codec.h"

using namespace tokenworks;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const google::protobuf::LogSilencer quiet;  // it reports every string that is not UTF-8
  const TimePoint now = ManualClock().Now();
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  worker::ToWorker to;
  if (to.ParseFromString(bytes))
    if (const auto message = rpc::FromWire(to, now); message.ok()) {
      worker::ToWorker first, second;
      rpc::ToWire(*message, now, &first);
      const auto again = rpc::FromWire(first, now);
      FUZZ_EXPECT(again.ok());
      rpc::ToWire(*again, now, &second);
      FUZZ_EXPECT(first.SerializeAsString() == second.SerializeAsString());
    }
  worker::FromWorker from;
  if (from.ParseFromString(bytes))
    if (const auto message = rpc::FromWire(from); message.ok()) {
      worker::FromWorker first, second;
      rpc::AppendToWire(*message, &first);
      const auto again = rpc::FromWire(first);
      FUZZ_EXPECT(again.ok());
      rpc::AppendToWire(*again, &second);
      FUZZ_EXPECT(first.SerializeAsString() == second.SerializeAsString());
    }
  return 0;
}

std::vector<std::string> Seeds() {
  const TimePoint now = ManualClock().Now();
  std::vector<std::string> seeds;
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.deadline = now + std::chrono::seconds(1);
  for (const ToWorker& message : {ToWorker{Assign{request, Route::kHandoff, {}}}, ToWorker{SetRole{WorkerRole::kMixed}},
                                  ToWorker{Cancel{{1}, 2, 3u, CancelReason::kAborted}}}) {
    worker::ToWorker out;
    rpc::ToWire(message, now, &out);
    seeds.push_back(out.SerializeAsString());
  }
  FromWorker from;
  from.report.emplace();
  from.report->wires.push_back({"decode-0", "shm", 1.5});
  from.hello.emplace();
  from.hello->worker = "prefill-0";
  from.deltas.push_back({});
  from.deltas[0].tokens = {{5, -0.5f, {{6, -1.f}}}};
  from.ended.push_back({});
  worker::FromWorker out;
  rpc::AppendToWire(from, &out);
  seeds.push_back(out.SerializeAsString());
  return seeds;
}
