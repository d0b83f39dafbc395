// SPDX-License-Identifier: Apache-2.0
// A model of Llama-8B's shape: random weights, real data flow.
#pragma once

#include <cmath>
#include <numeric>

#include "kernels/attention/decode_attention.h"
#include "kernels/attention/prefill_attention.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gemv/gemv.h"
#include "kernels/rms_norm/add_rms_norm.h"
#include "kernels/rope/rope_kv_write.h"
#include "kernels/sampling/sample.h"
#include "kernels/swiglu/swiglu.h"
#include "measure.h"

namespace tokenworks::bench {

using namespace kernels;

struct Shape {
  int layers = 32, hidden = 4096, heads = 32, kv_heads = 8, dim = 128, ff = 14336, vocabulary = 128256;
  int qkv() const { return (heads + 2 * kv_heads) * dim; }
};

struct Layer {
  device::Buffer<Bf16> qkv, o, gate_up, down;
};

enum class Products { kOwn, kOwnOverlapped, kLibrary };

class Model {
 public:
  Model(Bench& b, const Shape& s, int rows, int sequences, int context)
      : b_(b), s_(s), rows_(rows), sequences_(sequences), context_(context), stride_((context + 15) / 16) {
    const float spread = 0.03f;
    for (int l = 0; l < s.layers; ++l) {
      layers_.push_back(
          {b.RandomBf16(size_t(s.qkv()) * s.hidden, spread), b.RandomBf16(size_t(s.hidden) * s.heads * s.dim, spread),
           b.RandomBf16(size_t(2) * s.ff * s.hidden, spread), b.RandomBf16(size_t(s.hidden) * s.ff, spread)});
    }
    table_ = b.RandomBf16(size_t(s.vocabulary) * s.hidden, spread);
    head_ = b.RandomBf16(size_t(s.vocabulary) * s.hidden, spread);
    pool_ = b.RandomBf16(size_t(sequences) * stride_ * s.layers * 2 * s.kv_heads * 16 * s.dim);
    gain_ = b.Upload(std::vector<float>(s.hidden, 1.0f));
    std::vector<double> frequency(s.dim / 2);
    for (int i = 0; i < s.dim / 2; ++i) frequency[i] = std::pow(500000.0, -2.0 * i / s.dim);
    frequency_ = b.Upload(frequency);
    std::vector<int32_t> blocks(size_t(sequences) * stride_);
    std::iota(blocks.rbegin(), blocks.rend(), 0);
    blocks_ = b.Upload(blocks);
    // Sequence s owns rows / sequences rows, its last positions.
    const int each = rows / sequences;
    std::vector<int32_t> tokens(rows), position(rows), sequence(rows), first_row(sequences + 1);
    for (int r = 0; r < rows; ++r)
      tokens[r] = r * 7 % s.vocabulary, sequence[r] = r / each, position[r] = context - each + r % each;
    for (int i = 0; i <= sequences; ++i) first_row[i] = i * each;
    tokens_ = b.Upload(tokens), position_ = b.Upload(position), sequence_ = b.Upload(sequence),
    first_row_ = b.Upload(first_row);
    length_ = b.Upload(std::vector<int32_t>(sequences, context));
    sampling_ = b.Upload(std::vector<SamplingRow>(sequences, {.temperature = 0}));
    residual_ = b.Allocate<Bf16>(size_t(rows) * s.hidden), normed_ = b.Allocate<Bf16>(size_t(rows) * s.hidden),
    delta_ = b.Allocate<Bf16>(size_t(rows) * s.hidden);
    qkv_ = b.Allocate<Bf16>(size_t(rows) * s.qkv()), query_ = b.Allocate<Bf16>(size_t(rows) * s.heads * s.dim),
    attended_ = b.Allocate<Bf16>(size_t(rows) * s.heads * s.dim);
    gate_up_ = b.Allocate<Bf16>(size_t(rows) * 2 * s.ff), gated_ = b.Allocate<Bf16>(size_t(rows) * s.ff);
    logits_ = b.Allocate<float>(size_t(sequences) * s.vocabulary);
    partial_ = b.Allocate<float>(size_t(sequences) * s.heads * kMaxDecodeSplits * (s.dim + 1));
    drawn_ = b.Allocate<int32_t>(sequences);
    sampler_scratch_ = b.Allocate<std::byte>(SampleScratchBytes(sequences, s.vocabulary));
  }

  double weight_bytes() const {
    return 2.0 * (double(s_.layers) * (double(s_.qkv() + s_.heads * s_.dim + 3.0 * s_.ff) * s_.hidden) +
                  double(s_.vocabulary) * s_.hidden);
  }
  double kv_bytes() const { return 2.0 * sequences_ * double(context_) * 2 * s_.kv_heads * s_.dim * s_.layers; }
  const device::Buffer<Bf16>& residual() const { return residual_; }

  void Tune() {
    for (const int rows : {rows_}) {
      b_.Check(b_.device().TuneGemm({.x = normed_.data(),
                                     .weight = layers_[0].qkv.data(),
                                     .y = qkv_.data(),
                                     .rows = rows,
                                     .outputs = s_.qkv(),
                                     .inputs = s_.hidden},
                                    8, b_.stream()));
      b_.Check(b_.device().TuneGemm({.x = attended_.data(),
                                     .weight = layers_[0].o.data(),
                                     .y = delta_.data(),
                                     .rows = rows,
                                     .outputs = s_.hidden,
                                     .inputs = s_.heads * s_.dim},
                                    8, b_.stream()));
      b_.Check(b_.device().TuneGemm({.x = normed_.data(),
                                     .weight = layers_[0].gate_up.data(),
                                     .y = gate_up_.data(),
                                     .rows = rows,
                                     .outputs = 2 * s_.ff,
                                     .inputs = s_.hidden},
                                    8, b_.stream()));
      b_.Check(b_.device().TuneGemm({.x = gated_.data(),
                                     .weight = layers_[0].down.data(),
                                     .y = delta_.data(),
                                     .rows = rows,
                                     .outputs = s_.hidden,
                                     .inputs = s_.ff},
                                    8, b_.stream()));
    }
    b_.Check(b_.device().TuneGemm({.x = normed_.data(),
                                   .weight = head_.data(),
                                   .y_float = logits_.data(),
                                   .rows = sequences_,
                                   .outputs = s_.vocabulary,
                                   .inputs = s_.hidden},
                                  8, b_.stream()));
  }

  void Step(Products products) {
    const LaunchContext c{b_.stream().handle, products == Products::kOwnOverlapped};
    GatherEmbedding({c.stream, false}, {.table = table_.data(),
                                        .tokens = tokens_.data(),
                                        .out = residual_.data(),
                                        .rows = rows_,
                                        .width = s_.hidden,
                                        .vocabulary = s_.vocabulary});
    for (int l = 0; l < s_.layers; ++l) products == Products::kLibrary ? LibraryLayer(c, l) : OwnLayer(c, l);
    if (products == Products::kLibrary) {
      Norm(c, s_.layers > 0);
      Multiply(normed_.data() + size_t(rows_ - sequences_) * s_.hidden * (rows_ > sequences_), head_.data(), nullptr,
               logits_.data(), sequences_, s_.vocabulary, s_.hidden);
    } else {
      Gemv(c, Own({.weight = head_.data(),
                   .x = residual_.data(),
                   .gain = gain_.data(),
                   .y_float = logits_.data(),
                   .outputs = s_.vocabulary,
                   .inputs = s_.hidden}));
    }
    Sample(c, {.logits = logits_.data(),
               .row = sampling_.data(),
               .token = drawn_.data(),
               .scratch = sampler_scratch_.data(),
               .rows = sequences_,
               .vocabulary = s_.vocabulary,
               .stride = s_.vocabulary,
               .any_wide = false});
  }

 private:
  GemvArgs Own(GemvArgs a) const {
    a.rows = rows_, a.multiprocessors = b_.device().info().multiprocessors;
    return a;
  }
  void Multiply(const Bf16* x, const Bf16* w, Bf16* y, float* y_float, int rows, int outputs, int inputs) {
    b_.Check(b_.device().Gemm(
        {.x = x, .weight = w, .y = y, .y_float = y_float, .rows = rows, .outputs = outputs, .inputs = inputs},
        b_.stream()));
  }
  void Norm(const LaunchContext& c, bool adds) {
    AddRmsNorm(c, {.residual = residual_.data(),
                   .delta = adds ? delta_.data() : nullptr,
                   .gain = gain_.data(),
                   .out = normed_.data(),
                   .rows = rows_,
                   .width = s_.hidden});
  }

  void Attention(const LaunchContext& c, int layer) {
    const PagedKv kv = LayerOfPool(pool_.data(), layer, s_.layers, s_.kv_heads, s_.dim);
    const BlockTables tables{blocks_.data(), stride_};
    RopeKvWrite(c, {.qkv = qkv_.data(),
                    .query = query_.data(),
                    .kv = kv,
                    .tables = tables,
                    .sequence = sequence_.data(),
                    .position = position_.data(),
                    .frequency = frequency_.data(),
                    .rows = rows_,
                    .query_heads = s_.heads,
                    .kv_heads = s_.kv_heads,
                    .dim = s_.dim});
    const float scale = 1.0f / std::sqrt(static_cast<float>(s_.dim));
    if (rows_ == sequences_) {
      DecodeAttention(c, {.query = query_.data(),
                          .kv = kv,
                          .tables = tables,
                          .context = length_.data(),
                          .out = attended_.data(),
                          .partial = partial_.data(),
                          .rows = rows_,
                          .query_heads = s_.heads,
                          .kv_heads = s_.kv_heads,
                          .dim = s_.dim,
                          .splits = DecodeSplits(rows_, s_.kv_heads, context_, b_.device().info().multiprocessors),
                          .scale = scale});
    } else {
      PrefillAttention(c, {.query = query_.data(),
                           .kv = kv,
                           .tables = tables,
                           .first_row = first_row_.data(),
                           .context = length_.data(),
                           .out = attended_.data(),
                           .sequences = sequences_,
                           .max_rows = rows_ / sequences_,
                           .query_heads = s_.heads,
                           .kv_heads = s_.kv_heads,
                           .dim = s_.dim,
                           .scale = scale});
    }
  }

  void OwnLayer(const LaunchContext& c, int l) {
    Gemv(c, Own({.weight = layers_[l].qkv.data(),
                 .x = residual_.data(),
                 .gain = gain_.data(),
                 .y = qkv_.data(),
                 .outputs = s_.qkv(),
                 .inputs = s_.hidden}));
    Attention(c, l);
    Gemv(c, Own({.weight = layers_[l].o.data(),
                 .x = attended_.data(),
                 .residual = residual_.data(),
                 .y = residual_.data(),
                 .outputs = s_.hidden,
                 .inputs = s_.heads * s_.dim}));
    Gemv(c, Own({.weight = layers_[l].gate_up.data(),
                 .x = residual_.data(),
                 .gain = gain_.data(),
                 .swiglu = true,
                 .y = gated_.data(),
                 .outputs = s_.ff,
                 .inputs = s_.hidden}));
    Gemv(c, Own({.weight = layers_[l].down.data(),
                 .x = gated_.data(),
                 .residual = residual_.data(),
                 .y = residual_.data(),
                 .outputs = s_.hidden,
                 .inputs = s_.ff}));
  }

  void LibraryLayer(const LaunchContext& c, int l) {
    Norm(c, l > 0);
    Multiply(normed_.data(), layers_[l].qkv.data(), qkv_.data(), nullptr, rows_, s_.qkv(), s_.hidden);
    Attention(c, l);
    Multiply(attended_.data(), layers_[l].o.data(), delta_.data(), nullptr, rows_, s_.hidden, s_.heads * s_.dim);
    Norm(c, true);
    Multiply(normed_.data(), layers_[l].gate_up.data(), gate_up_.data(), nullptr, rows_, 2 * s_.ff, s_.hidden);
    SwiGlu(c, {.gate_up = gate_up_.data(), .out = gated_.data(), .rows = rows_, .width = s_.ff});
    Multiply(gated_.data(), layers_[l].down.data(), delta_.data(), nullptr, rows_, s_.hidden, s_.ff);
  }

  Bench& b_;
  const Shape s_;
  const int rows_, sequences_, context_, stride_;
  std::vector<Layer> layers_;
  device::Buffer<Bf16> table_, head_, pool_, residual_, normed_, delta_, qkv_, query_, attended_, gate_up_, gated_;
  device::Buffer<float> gain_, logits_, partial_;
  device::Buffer<double> frequency_;
  device::Buffer<int32_t> blocks_, tokens_, position_, sequence_, first_row_, length_, drawn_;
  device::Buffer<SamplingRow> sampling_;
  device::Buffer<std::byte> sampler_scratch_;
};

}  // namespace tokenworks::bench
