// SPDX-License-Identifier: Apache-2.0
// Speed of the CPU executor alone: decode at a context, batched decode, prefill. Prints JSON.
//   decode_bench MODEL [threads] [kernels]
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "engine/model/cpu/cpu_executor.h"

namespace {

using namespace tokenworks;

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

std::string CpuName() {
  std::ifstream in("/proc/cpuinfo");
  std::string line, out;
  while (std::getline(in, line))
    if (line.rfind("model name", 0) == 0 || line.rfind("cpu family", 0) == 0 || line.rfind("model\t", 0) == 0) {
      out += line.substr(line.find(':') + 2) + " ";
      if (out.size() > 20) break;
    }
  return out;
}

// One step of the executor: `rows` new tokens for each of the sequences, logits for the last of each.
double Step(model::cpu::CpuExecutor& e, int sequences, int position, int rows, int blocks_each) {
  static uint64_t id = 0;
  StepPlan plan;
  plan.id = ++id;
  for (int s = 0; s < sequences; ++s) {
    StepItem item;
    for (int i = 0; i < rows; ++i) item.tokens.push_back(1000 + (position + i * 7919 + s * 31) % 40000);
    item.first_position = position;
    for (int b = 0; b < blocks_each; ++b) item.blocks.push_back(s * blocks_each + b);
    item.samples = {SequenceId{{1}, static_cast<uint32_t>(s)}};
    plan.items.push_back(std::move(item));
    if (id == 1 || position == 0) {
      SequenceStart start;
      start.sequence = SequenceId{{1}, static_cast<uint32_t>(s)};
      start.sampling.temperature = 0;
      plan.starts.push_back(start);
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  if (!e.Submit(std::move(plan)).ok() || !e.Collect().ok()) std::abort();
  return Seconds(begin);
}

double Median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "decode_bench MODEL [threads] [kernels]\n"), 2;
  model::cpu::CpuExecutorOptions options;
  options.model_path = argv[1];
  options.threads = argc > 2 ? std::stoi(argv[2]) : 2;
  options.kernels = argc > 3 ? argv[3] : "";
  auto created = model::cpu::CpuExecutor::Create(options);
  if (!created.ok()) return std::fprintf(stderr, "%s\n", std::string(created.status().message()).c_str()), 1;
  auto& e = **created;
  std::vector<double> prefill, decode, deep, batch8;
  for (int i = 0; i < 5; ++i) prefill.push_back(512 / Step(e, 1, 0, 512, 40));
  for (int i = 0; i < 4; ++i) Step(e, 1, 512 * i, 512, 160);
  for (int i = 0; i < 60; ++i) deep.push_back(1 / Step(e, 1, 2048 + i, 1, 160));
  Step(e, 1, 0, 128, 40);
  for (int i = 0; i < 100; ++i) decode.push_back(1 / Step(e, 1, 128 + i, 1, 40));
  for (int s = 0; s < 1; ++s) Step(e, 8, 0, 128, 20);
  for (int i = 0; i < 50; ++i) batch8.push_back(8 / Step(e, 8, 128 + i, 1, 20));
  std::printf(
      "{\"cpu\": \"%s\", \"threads\": %d, \"prefill_512\": %.1f, \"decode_128\": %.1f, \"decode_2048\": %.1f, "
      "\"batch8_128\": %.1f}\n",
      CpuName().c_str(), options.threads, Median(prefill), Median(decode), Median(deep), Median(batch8));
}
