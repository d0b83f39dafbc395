// SPDX-License-Identifier: Apache-2.0
// Whole steps of the synthetic model, one graph a step.
#include <cmath>
#include <cstdio>

#include "synthetic_model.h"

namespace tokenworks::bench {
namespace {

// ||a - b|| / ||b||; not a number if any value is.
double Difference(const std::vector<Bf16>& a, const std::vector<Bf16>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = ToFloat(a[i]), y = ToFloat(b[i]);
    difference += (x - y) * (x - y), norm += y * y;
  }
  return std::sqrt(difference / norm);
}

// Overlap may change no bit; own and library products differ by rounding only.
void Decode(Bench& b, const Shape& s, int rows, int context, bool own) {
  Model m(b, s, rows, rows, context);
  m.Tune();
  struct Kind {
    const char* name;
    Products products;
  };
  std::vector<Kind> kinds = {{"decode step, cublaslt", Products::kLibrary}};
  if (own)
    kinds.insert(kinds.begin(), {{"decode step, own gemv + overlap", Products::kOwnOverlapped},
                                 {"decode step, own gemv", Products::kOwn}});
  std::vector<Bf16> first, present(m.residual().size());
  for (const Kind& kind : kinds) {
    const double us = b.Median(1, 20, [&](int) { m.Step(kind.products); });
    b.Check(m.residual().Download(present, b.stream()));
    if (first.empty()) first = present;
    const double difference = Difference(present, first);
    std::printf("  residual differs from the first kind's by %.2e\n", difference);
    b.Report({.name = kind.name,
              .size = std::to_string(rows) + " rows, context " + std::to_string(context),
              .microseconds = us,
              .bytes = m.weight_bytes() + m.kv_bytes(),
              .ok = difference <= (kind.products == Products::kOwn ? 0.0 : 0.1)});
  }
}

}  // namespace

void MeasureSteps(Bench& b) {
  Shape s;
  if (b.small()) s = {.layers = 2, .hidden = 64, .heads = 4, .kv_heads = 2, .dim = 64, .ff = 96, .vocabulary = 256};
  const int context = b.small() ? 40 : 2048;
  Decode(b, s, 1, context, true);
  Decode(b, s, 2, context, true);
  Decode(b, s, 16, context, false);
  Decode(b, s, 64, context, false);
  const int rows = b.small() ? 40 : 2048;
  Model m(b, s, rows, 1, rows);
  m.Tune();
  const double flops = 2.0 * rows * (m.weight_bytes() / 2 - double(s.vocabulary) * s.hidden) +
                       2.0 * s.layers * s.heads * s.dim * double(rows) * (rows + 1);
  const auto step = [&](int) { m.Step(Products::kLibrary); };
  const double burst = b.Median(1, 20, step), sustained = b.Sustained(1.0, 1, step);
  for (const auto& [name, us] : {std::pair{"prefill step, burst", burst}, {"prefill step, sustained", sustained}})
    b.Report({.name = name,
              .size = std::to_string(rows) + " tokens, " + std::to_string(static_cast<int>(rows / us * 1e6)) + " tok/s",
              .microseconds = us,
              .flops = flops,
              .ok = b.Finite(m.residual(), m.residual().size())});
}

}  // namespace tokenworks::bench
