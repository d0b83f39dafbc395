// SPDX-License-Identifier: Apache-2.0
// Every CPU kernel alone, at the default model's shapes, as a share of the ceiling measured in the same run. Prints
// JSON.
//   kernel_bench [threads] [kernels]
// A row of matrix products reads weights that lie in no cache: as many copies as it takes, in turn.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "bench/kernels/ceilings.h"
#include "kernels/kernel_set.h"

namespace {

using namespace tokenworks;
using namespace tokenworks::bench;
using kernels::Activations;
using kernels::KernelSet;
using kernels::PackedMatrix;
using kernels::WeightType;

constexpr size_t kBeyondCaches = size_t{192} << 20;
constexpr int kRounds = 7;

struct Run {
  const KernelSet& kernels;
  Ceilings ceilings;
  int threads;
  std::mt19937 random{1};
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();

  std::vector<float> Floats(size_t n) {
    std::vector<float> x(n);
    std::normal_distribution<float> normal;
    for (float& v : x) v = normal(random);
    return x;
  }

  double Median(const std::function<void(int)>& work) {
    std::vector<double> seconds;
    for (int i = 0; i < kRounds; ++i) seconds.push_back(RunTogether(threads, work));
    std::sort(seconds.begin(), seconds.end());
    return seconds[kRounds / 2];
  }

  // Bytes read and operations of one run: the larger share is the one that binds.
  void Add(const std::string& name, double seconds, double bytes, double operations, double peak) {
    const double memory = bytes / seconds / 1e9 / ceilings.read_gb_per_s, compute = operations / seconds / 1e9 / peak;
    rows.push_back({{"kernel", name},
                    {"microseconds", seconds * 1e6},
                    {"gb_per_s", bytes / seconds / 1e9},
                    {"gop_per_s", operations / seconds / 1e9},
                    {"share_of_read", memory},
                    {"share_of_operations", compute}});
    std::fprintf(stderr, "%-44s %10.1f us  %6.1f GB/s (%3.0f %%)  %7.1f Gop/s (%3.0f %%)\n", name.c_str(),
                 seconds * 1e6, bytes / seconds / 1e9, 100 * memory, operations / seconds / 1e9, 100 * compute);
  }

  std::pair<int, int> Share(int member, int count) const {
    return {count * member / threads, count * (member + 1) / threads};
  }

  void Matmul(const std::string& name, WeightType type, int rows_out, int k, int tokens, bool wide) {
    PackedMatrix one(*PackedMatrix::FormOf(type), k);
    std::vector<std::byte> raw(kernels::RowBytes(type, k) * static_cast<size_t>(rows_out), std::byte{0x11});
    if (!one.Append(type, rows_out, raw).ok()) std::abort();
    const int copies = tokens > 8 ? 1 : static_cast<int>(kBeyondCaches / one.bytes() + 1);
    std::vector<PackedMatrix> weights(static_cast<size_t>(copies), one);
    Activations x;
    x.Resize(tokens, k, wide);
    const std::vector<float> values = Floats(static_cast<size_t>(tokens) * static_cast<size_t>(k));
    for (int t = 0; t < tokens; ++t) kernels.quantize_row(&values[static_cast<size_t>(t * k)], k, x.row(t));
    std::vector<float> out(static_cast<size_t>(tokens) * static_cast<size_t>(rows_out));
    const double seconds = Median([&](int m) {
                             const auto [first, last] = Share(m, one.groups());
                             for (const PackedMatrix& w : weights)
                               kernels.matmul(w, x, 0, tokens, first, last, out.data(), static_cast<size_t>(rows_out));
                           }) /
                           copies;
    Add(name + (wide ? " wide" : "") + ", " + std::to_string(tokens) + " tokens", seconds,
        static_cast<double>(one.bytes()), 2.0 * rows_out * k * tokens, ceilings.int8_gop_per_s);
  }

  // One decode row (or the last of a prompt) against a context, all heads.
  void Attention(int context, int query_rows) {
    const kernels::AttentionShape shape{9, 3, 64, false};
    const size_t stride = 2 * shape.k_bytes();
    const int blocks = (context + kBlockTokens - 1) / kBlockTokens,
              copies =
                  query_rows > 1 ? 1 : static_cast<int>(kBeyondCaches / (stride * static_cast<size_t>(blocks)) + 1);
    std::vector<std::byte> pool(stride * static_cast<size_t>(blocks * copies), std::byte{0x21});
    std::vector<std::vector<int32_t>> tables(static_cast<size_t>(copies));
    for (int c = 0; c < copies; ++c)
      for (int b = 0; b < blocks; ++b) tables[static_cast<size_t>(c)].push_back(c * blocks + b);
    const std::vector<float> q = Floats(4 * 9 * 64);
    std::vector<std::vector<float>> scratch(static_cast<size_t>(threads),
                                            std::vector<float>(kernels::AttentionScratch(shape))),
        out(static_cast<size_t>(threads), std::vector<float>(4 * 9 * 64));
    const double seconds =
        Median([&](int m) {
          for (const auto& table : tables)
            for (int u = m; u < (query_rows + 3) / 4 * 3; u += threads) {
              const int first = u / 3 * 4;
              const kernels::AttentionRow row{q.data(),     out[static_cast<size_t>(m)].data(), pool.data(), stride,
                                              table.data(), context - query_rows + first + 1};
              kernels.attend(shape, row, std::min(4, query_rows - first), u % 3,
                             scratch[static_cast<size_t>(m)].data());
            }
        }) /
        copies;
    const double pairs = query_rows * (context - (query_rows - 1) / 2.0);
    Add("attention, " + std::to_string(query_rows) + " rows at " + std::to_string(context), seconds,
        static_cast<double>(stride) * blocks, pairs * 9 * 64 * 4, ceilings.float_gflop_per_s);
  }

  void RowKernels() {
    constexpr int kRows = 512;
    std::vector<float> x = Floats(kRows * 1536), y = x, gain = Floats(1536);
    Activations narrow, wide;
    narrow.Resize(kRows, 1536);
    wide.Resize(kRows, 576, true);
    const auto each = [&](const std::string& name, int width, double streams, const std::function<void(int)>& row) {
      const double seconds = Median([&](int m) {
        const auto [first, last] = Share(m, kRows);
        for (int r = first; r < last; ++r) row(r);
      });
      Add(name + ", 512 rows of " + std::to_string(width), seconds, streams * 4 * kRows * width, 0, 1);
    };
    each("quantize", 1536, 1.25,
         [&](int r) { kernels.quantize_row(&x[static_cast<size_t>(r) * 1536], 1536, narrow.row(r)); });
    each("quantize wide", 576, 1.5,
         [&](int r) { kernels.quantize_row(&x[static_cast<size_t>(r) * 576], 576, wide.row(r)); });
    each("rms_norm", 576, 2, [&](int r) {
      kernels.rms_norm(&x[static_cast<size_t>(r) * 576], gain.data(), 576, 1e-5f, &y[static_cast<size_t>(r) * 576]);
    });
    each("silu_mul", 1536, 3, [&](int r) {
      kernels.silu_mul(&x[static_cast<size_t>(r) * 1536], &x[static_cast<size_t>(r) * 1536], 1536,
                       &y[static_cast<size_t>(r) * 1536]);
    });
    std::vector<float> logits = Floats(49152);
    const double seconds = Median([&](int) { (void)kernels.log_sum_exp(logits.data(), 49152); });
    Add("log_sum_exp of 49152, each thread", seconds, 4.0 * 49152 * threads, 0, 1);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::stoi(argv[1]) : 2;
  const KernelSet* set = kernels::SelectKernels(argc > 2 ? argv[2] : "");
  if (set == nullptr || threads < 1)
    return std::fprintf(stderr, "kernel_bench [threads] [scalar, avx2 or avx512vnni, as this CPU can]\n"), 2;
  Run run{*set, MeasureCeilings(threads), threads};
  for (const int tokens : {1, 2, 4, 8, 512}) {
    run.Matmul("Q4_1 gate 1536 x 576", WeightType::kQ4_1, 1536, 576, tokens, false);
    run.Matmul("Q4_1 down 576 x 1536", WeightType::kQ4_1, 576, 1536, tokens, false);
    run.Matmul("Q4_1 query 576 x 576", WeightType::kQ4_1, 576, 576, tokens, true);
  }
  for (const bool wide : {false, true})
    for (const int tokens : {1, 8}) run.Matmul("Q8_0 head 49152 x 576", WeightType::kQ8_0, 49152, 576, tokens, wide);
  for (const int context : {128, 512, 2048}) run.Attention(context, 1);
  for (const int context : {512, 2048}) run.Attention(context, context);
  run.RowKernels();
  const Ceilings& c = run.ceilings;
  const nlohmann::ordered_json out = {{"cpu", c.cpu},
                                      {"threads", threads},
                                      {"kernels", set->name},
                                      {"ceilings",
                                       {{"read_gb_per_s", c.read_gb_per_s},
                                        {"int8_gop_per_s", c.int8_gop_per_s},
                                        {"int8_instruction", c.int8_instruction},
                                        {"float_gflop_per_s", c.float_gflop_per_s}}},
                                      {"results", run.rows}};
  std::printf("%s\n", out.dump(1).c_str());
}
