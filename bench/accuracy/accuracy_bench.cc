// SPDX-License-Identifier: Apache-2.0
// How close the fast path is to the F32 path on the 8,192 tokens of tests/golden/model/text_ids.txt, and the perplexity
// of both beside PyTorch's. Prints JSON.  accuracy_bench [threads]   (from the source root; some minutes)
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/unit/model/fidelity.h"
#include "tests/unit/model/logits_oracle.h"

namespace {

using namespace tokenworks;
using namespace tokenworks::model::cpu;

constexpr int kWindow = 1024, kChunk = 256;

std::vector<TokenId> ReadIds() {
  std::ifstream in("tests/golden/model/text_ids.txt");
  std::vector<TokenId> ids;
  for (TokenId id; in >> id;) ids.push_back(id);
  return ids;
}

// Sum of -log p over every token of the text but each window's first.
struct Surprise {
  double sum = 0;
  int tokens = 0;
  void Add(const float* logits, int vocabulary, TokenId next) {
    sum += LogSumExp(logits, vocabulary) - logits[next];
    ++tokens;
  }
  double perplexity() const { return std::exp(sum / tokens); }
};

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::stoi(argv[1]) : 2;
  const std::vector<TokenId> ids = ReadIds();
  auto reference = MakeDefaultModel(true, threads), fast = MakeDefaultModel(false, threads);
  nlohmann::json golden;
  std::ifstream("tests/golden/model/perplexity.json") >> golden;
  if (ids.empty() || !reference.ok() || !fast.ok())
    return std::fprintf(stderr, "the model or tests/golden/model/ cannot be read; run from the source root\n"), 1;
  const int vocabulary = (*fast)->config().vocabulary;
  Fidelity fidelity;
  Surprise ours_f32, ours_fast;
  std::vector<float> kept(static_cast<size_t>(kWindow) * static_cast<size_t>(vocabulary));
  for (size_t begin = 0; begin + kWindow <= ids.size(); begin += kWindow) {
    const std::vector<TokenId> window(ids.begin() + static_cast<long>(begin),
                                      ids.begin() + static_cast<long>(begin) + kWindow);
    const auto next = [&](int i) { return window[static_cast<size_t>(i) + 1]; };
    Status status = ForEachLogits(**reference, window, kChunk, [&](int i, const float* logits) {
      std::copy(logits, logits + vocabulary, &kept[static_cast<size_t>(i) * static_cast<size_t>(vocabulary)]);
      if (i + 1 < kWindow) ours_f32.Add(logits, vocabulary, next(i));
    });
    if (status.ok())
      status = ForEachLogits(**fast, window, kChunk, [&](int i, const float* logits) {
        fidelity.Add(&kept[static_cast<size_t>(i) * static_cast<size_t>(vocabulary)], logits, vocabulary);
        if (i + 1 < kWindow) ours_fast.Add(logits, vocabulary, next(i));
      });
    if (!status.ok()) return std::fprintf(stderr, "%s\n", std::string(status.message()).c_str()), 1;
  }
  const double torch = golden["perplexity"];
  const nlohmann::ordered_json out = {{"numerics", (*fast)->info().numerics_id},
                                      {"positions", fidelity.positions},
                                      {"mean_kl_nats", fidelity.mean_kl()},
                                      {"same_best_token", fidelity.same_share()},
                                      {"clear_margin_positions", fidelity.decided},
                                      {"perplexity_tokens", ours_f32.tokens},
                                      {"perplexity_pytorch", torch},
                                      {"perplexity_f32", ours_f32.perplexity()},
                                      {"perplexity_fast", ours_fast.perplexity()},
                                      {"f32_over_pytorch", ours_f32.perplexity() / torch},
                                      {"fast_over_pytorch", ours_fast.perplexity() / torch}};
  std::printf("%s\n", out.dump(1).c_str());
}
