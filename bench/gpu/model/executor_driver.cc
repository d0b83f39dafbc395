// SPDX-License-Identifier: Apache-2.0
#include "executor_driver.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace tokenworks::bench {
namespace {

constexpr int kTextTokens = 48, kChunk = 16, kBatch = 16;

SequenceId Id(int sequence) { return {{static_cast<uint64_t>(sequence) + 1}, 0}; }

SamplingParams Greedy() {
  SamplingParams p;
  p.temperature = 0;
  p.max_tokens = 1 << 20;
  return p;
}

void Check(const Status& status) {
  if (status.ok()) return;
  std::printf("FAILED: %s\n", std::string(status.message()).c_str());
  std::exit(1);
}

}  // namespace

StepItem Driver::Rows(int id, int first, int count, bool samples) const {
  StepItem item;
  for (int i = 0; i < count; ++i) item.tokens.push_back(TokenAt(first + i));
  item.first_position = first;
  for (int b = 0; b < blocks_each_; ++b) item.blocks.push_back(id * blocks_each_ + b);
  if (samples) item.samples = {Id(id)};
  item.is_prefill = count > 1;
  return item;
}

StepItem Driver::Pending(int id, int position) const {
  StepItem item = Rows(id, position, 1, true);
  item.tokens = {kPendingToken};
  return item;
}

StepResult Driver::Run(StepPlan plan) {
  plan.id = ++plans_;
  Check(executor_.Submit(std::move(plan)));
  auto result = executor_.Collect();
  Check(result.status());
  return *std::move(result);
}

int Driver::WriteLogits(const std::string& path) {
  const int vocabulary = executor_.info().vocabulary;
  blocks_each_ = (kTextTokens + kBlockTokens - 1) / kBlockTokens;
  std::ofstream out(path, std::ios::binary);
  const auto integer = [&](int32_t x) { out.write(reinterpret_cast<const char*>(&x), 4); };
  std::vector<float> logits(static_cast<size_t>(vocabulary));
  const auto record = [&](int kind, int position, int sample) {
    Check(executor_.ReadLogits(sample, logits));
    integer(kind), integer(position);
    out.write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logits.size() * 4));
  };
  const int batched = small_ ? 4 : kChunk;
  integer(vocabulary), integer(kTextTokens), integer(kTextTokens + kTextTokens / kChunk + batched);
  for (int p = 0; p < kTextTokens; ++p) integer(TokenAt(p));
  const auto start = [&](StepPlan& plan, int id) { plan.starts.push_back({Id(id), Greedy(), {}, {}}); };
  for (int p = 0; p < kTextTokens; ++p) {
    StepPlan plan;
    if (p == 0) start(plan, 0);
    plan.items = {Rows(0, p, 1, true)};
    Run(std::move(plan));
    record(0, p, 0);
  }
  for (int p = 0; p < kTextTokens; p += kChunk) {
    StepPlan plan;
    if (p == 0) start(plan, 1);
    plan.items = {Rows(1, p, kChunk, true)};
    Run(std::move(plan));
    record(1, p + kChunk - 1, 0);
  }
  for (int p = 0; p < batched; ++p) {  // sixteen times the same text, another one of them read each time
    StepPlan plan;
    for (int s = 0; s < kBatch; ++s) {
      if (p == 0) start(plan, 2 + s);
      plan.items.push_back(Rows(2 + s, p, 1, true));
    }
    Run(std::move(plan));
    record(2, p, p % kBatch);
  }
  std::printf("%s: %d positions\n", path.c_str(), kTextTokens + kTextTokens / kChunk + batched);
  return out.good() ? 0 : 1;
}

void Driver::Start(int sequences, int context) {
  const int chunk = small_ ? 32 : 512;
  for (int s = 0; s < sequences; ++s)
    for (int p = 0; p < context; p += chunk) {
      StepPlan plan;
      if (p == 0) {
        plan.ends = {Id(s)};
        plan.starts = {{Id(s), Greedy(), {}, {}}};
      }
      plan.items = {Rows(s, p, std::min(chunk, context - p), p + chunk >= context)};
      Run(std::move(plan));
    }
}

double Driver::StepSeconds(int decoding, int context, int chunk) {
  const int steps = small_ ? 2 : 40, warm = small_ ? 1 : 8, other = decoding;
  blocks_each_ = (std::max(context + steps + warm, chunk) + kBlockTokens) / kBlockTokens + 1;
  if (decoding > 0) Start(decoding, context);
  Clock::time_point begin;
  bool first = true;
  for (int step = 0; step < steps + warm; ++step) {
    if (step == warm) begin = Clock::now();
    StepPlan plan;
    plan.id = ++plans_;
    for (int s = 0; s < decoding; ++s)
      plan.items.push_back(first ? Rows(s, context, 1, true) : Pending(s, context + step));
    if (chunk > 0) plan.items.push_back(Rows(other, 0, chunk, false));
    first = false;
    Check(executor_.Submit(std::move(plan)));
    if (step > 0) Check(executor_.Collect().status());  // one step is always ahead
  }
  Check(executor_.Collect().status());
  return Seconds(begin) / steps;
}

int Driver::MeasureSpeed(const std::string& json_path) {
  const int context = small_ ? 40 : 2048, batch = small_ ? 3 : kBatch;
  const double lone = StepSeconds(1, context, 0), resident = StepSeconds(batch, context, 0);
  const int prefill_rows = small_ ? 64 : 1024;
  const double prefill = StepSeconds(0, 0, prefill_rows);
  std::string json = "{\"decode_1_ms\": " + std::to_string(lone * 1e3) +
                     ", \"decode_16_ms\": " + std::to_string(resident * 1e3) +
                     ", \"prefill_tokens_per_s\": " + std::to_string(prefill_rows / prefill) + ", \"mixed\": [";
  std::printf("decode 1 row %.3f ms, %d rows %.3f ms, prefill %.0f tok/s\n", lone * 1e3, batch, resident * 1e3,
              prefill_rows / prefill);
  for (const int rows : small_ ? std::vector<int>{16, 32} : std::vector<int>{256, 512}) {
    const int chunk = rows - batch;
    const double step = StepSeconds(batch, context, chunk);
    // Each rate as a share of what it is alone.
    const double decode_share = resident / step, prefill_share = chunk / step / (prefill_rows / prefill);
    std::printf("mixed, %d rows: %.3f ms, decode %.0f %% + prefill %.0f %% = %.0f %%\n", rows, step * 1e3,
                decode_share * 100, prefill_share * 100, (decode_share + prefill_share) * 100);
    json += std::string(json.back() == '[' ? "" : ", ") + "{\"rows\": " + std::to_string(rows) +
            ", \"ms\": " + std::to_string(step * 1e3) + ", \"decode_share\": " + std::to_string(decode_share) +
            ", \"prefill_share\": " + std::to_string(prefill_share) + "}";
  }
  if (!json_path.empty()) std::ofstream(json_path) << json << "]}\n";
  return 0;
}

}  // namespace tokenworks::bench
