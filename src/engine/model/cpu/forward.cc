// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cpu/forward.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/vector_math/vector_math.h"

namespace tokenworks::model::cpu {

using kernels::PackedMatrix;

namespace {

// From so many units of (row, KV head) for each thread on, whole ones share out evenly enough.
constexpr int kUnitsPerMember = 8;
// Rows of one sequence that one unit of attention takes.
constexpr int kRowsTogether = 4;

}  // namespace

Forward::Forward(const ModelConfig& config, const Weights& weights, const KvLayout& layout, std::byte* pool,
                 const kernels::KernelSet& kernels, ThreadTeam& team, bool reference)
    : config_(config),
      weights_(weights),
      layout_(layout),
      pool_(pool),
      kernels_(kernels),
      team_(team),
      shape_{config.query_heads, config.kv_heads, config.head_dim, reference},
      scratch_(team.size()) {
  for (auto& s : scratch_) s.resize(kernels::AttentionScratch(shape_));
  const int half = config.head_dim / 2;
  cosine_.resize(static_cast<size_t>(config.context_length) * half);
  sine_.resize(cosine_.size());
  for (int i = 0; i < half; ++i) {
    double frequency = kernels::Pow(config.rope_base, -2.0 * i / config.head_dim);
    if (!config.rope_factors.empty()) frequency /= config.rope_factors[i];
    for (int p = 0; p < config.context_length; ++p) {
      double s, c;
      kernels::SinCos(p * frequency, &s, &c);
      cosine_[static_cast<size_t>(p) * half + i] = static_cast<float>(c);
      sine_[static_cast<size_t>(p) * half + i] = static_cast<float>(s);
    }
  }
}

void Forward::Reserve(const std::vector<Row>& step, int wanted) {
  const int rows = static_cast<int>(step.size());
  const auto grow = [&](std::vector<float>& v, size_t width, int n) {
    if (v.size() < width * n) v.resize(width * n);
  };
  const int q_width = config_.query_heads * config_.head_dim, kv_width = config_.kv_heads * config_.head_dim;
  grow(x_, config_.embedding, rows);
  grow(normed_, config_.embedding, rows);
  grow(q_, q_width, rows);
  grow(k_, kv_width, rows);
  grow(v_, kv_width, rows);
  grow(attention_, q_width, rows);
  grow(product_, config_.embedding, rows);
  grow(gate_, config_.feed_forward, rows);
  grow(up_, config_.feed_forward, rows);
  grow(hidden_, config_.feed_forward, rows);
  grow(logits_, config_.vocabulary, wanted);
  for (const std::vector<Row>* active : {&step, &std::as_const(kept_)})
    if (InSegments(*active))
      for (int n = 0; const Row& row : *active)
        grow(segments_, kernels::SegmentFloats(shape_) * config_.kv_heads, n += row.position / kernels::kSegment + 1);
  wide_normed_q_.Resize(rows, config_.embedding, true);
  normed_q_.Resize(rows, config_.embedding);
  attention_q_.Resize(rows, q_width);
  hidden_q_.Resize(rows, config_.feed_forward);
}

std::pair<int, int> Forward::Share(int member, int count) const {
  const int n = team_.size();
  return {static_cast<int>(static_cast<int64_t>(count) * member / n),
          static_cast<int>(static_cast<int64_t>(count) * (member + 1) / n)};
}

void Forward::Embed(int member, const std::vector<Row>& rows) {
  const auto [first, last] = Share(member, static_cast<int>(rows.size()));
  for (int r = first; r < last; ++r)
    kernels::DequantizeRow(weights_.embedding_type, weights_.embedding + weights_.embedding_row_bytes * rows[r].token,
                           config_.embedding, &x_[static_cast<size_t>(r) * config_.embedding]);
}

void Forward::QuantizeRows(int member, int rows, const float* x, int width, kernels::Activations& out) {
  const auto [first, last] = Share(member, rows);
  for (int r = first; r < last; ++r) kernels_.quantize_row(x + static_cast<size_t>(r) * width, width, out.row(r));
}

void Forward::NormRows(int member, int rows, const std::vector<float>& gain, kernels::Activations& out) {
  const auto [first, last] = Share(member, rows);
  const int e = config_.embedding;
  for (int r = first; r < last; ++r) {
    float* y = &normed_[static_cast<size_t>(r) * e];
    kernels_.rms_norm(&x_[static_cast<size_t>(r) * e], gain.data(), e, config_.rms_epsilon, y);
    kernels_.quantize_row(y, e, out.row(r));
  }
}

void Forward::Multiply(int member, const PackedMatrix& w, const kernels::Activations& quantised, const float* plain,
                       int rows, float* out, size_t stride) {
  const auto [first, last] = Share(member, w.groups());
  if (w.form() == kernels::WeightForm::kF32x8)
    kernels_.matmul_float(w, plain, w.columns(), rows, first, last, out, stride);
  else
    kernels_.matmul(w, quantised, 0, rows, first, last, out, stride);
}

void Forward::AttentionInput(int member, const LayerWeights& layer, int rows) {
  NormRows(member, rows, layer.attention_norm, wide_normed_q_);
  team_.Barrier();
  Multiply(member, layer.q, wide_normed_q_, normed_.data(), rows, q_.data(), layer.q.rows());
  Multiply(member, layer.k, wide_normed_q_, normed_.data(), rows, k_.data(), layer.k.rows());
  Multiply(member, layer.v, wide_normed_q_, normed_.data(), rows, v_.data(), layer.v.rows());
  team_.Barrier();
}

void Forward::WriteKv(int member, int layer, const std::vector<Row>& rows) {
  const auto [first, last] = Share(member, static_cast<int>(rows.size()));
  const int half = config_.head_dim / 2, q_width = config_.query_heads * config_.head_dim,
            kv_width = config_.kv_heads * config_.head_dim;
  for (int r = first; r < last; ++r) {
    const Row& row = rows[r];
    const float *c = &cosine_[static_cast<size_t>(row.position) * half],
                *s = &sine_[static_cast<size_t>(row.position) * half];
    kernels_.rope(&q_[static_cast<size_t>(r) * q_width], config_.query_heads, config_.head_dim, c, s,
                  config_.rope_neighbours);
    kernels_.rope(&k_[static_cast<size_t>(r) * kv_width], config_.kv_heads, config_.head_dim, c, s,
                  config_.rope_neighbours);
    std::byte* block =
        pool_ + layout_.block_bytes * row.blocks[row.position / kBlockTokens] + layout_.layers[layer].offset;
    kernels::WriteKv(shape_, &k_[static_cast<size_t>(r) * kv_width], &v_[static_cast<size_t>(r) * kv_width], block,
                     row.position % kBlockTokens);
  }
  team_.Barrier();
}

void Forward::Attend(int member, int layer, const std::vector<Row>& rows) {
  if (InSegments(rows)) return AttendInSegments(member, layer, rows);
  const int n = static_cast<int>(rows.size());
  int unit = 0;
  for (int first = 0, count; first < n; first += count) {
    count = 1;  // neighbouring rows of one sequence are taken together
    while (count < kRowsTogether && first + count < n && rows[first + count].blocks == rows[first].blocks &&
           rows[first + count].position == rows[first].position + count)
      ++count;
    for (int h = 0; h < config_.kv_heads; ++h, ++unit)
      if (unit % team_.size() == member)
        kernels_.attend(shape_, QueryRow(layer, rows, first), count, h, scratch_[member].data());
  }
  team_.Barrier();
}

kernels::AttentionRow Forward::QueryRow(int layer, const std::vector<Row>& rows, int r) {
  const size_t at = static_cast<size_t>(r) * config_.query_heads * config_.head_dim;
  return {&q_[at],        &attention_[at],     pool_ + layout_.layers[layer].offset, layout_.block_bytes,
          rows[r].blocks, rows[r].position + 1};
}

// Few rows over long contexts: whole KV heads would not share out evenly.
bool Forward::InSegments(const std::vector<Row>& rows) const {
  if (team_.size() == 1 || static_cast<int>(rows.size()) * config_.kv_heads >= kUnitsPerMember * team_.size())
    return false;
  return std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.position >= kernels::kSegment; });
}

void Forward::AttendInSegments(int member, int layer, const std::vector<Row>& rows) {
  const auto segments = [](const Row& row) { return row.position / kernels::kSegment + 1; };
  int total = 0;
  for (const Row& row : rows) total += segments(row) * config_.kv_heads;
  const size_t floats = kernels::SegmentFloats(shape_);
  const auto [first, last] = Share(member, total);
  int unit = 0;
  for (int r = 0; r < static_cast<int>(rows.size()); ++r)
    for (int h = 0; h < config_.kv_heads; ++h)
      for (int g = 0; g < segments(rows[r]); ++g, ++unit)
        if (unit >= first && unit < last)
          kernels_.attend_segment(shape_, QueryRow(layer, rows, r), h, g,
                                  &segments_[static_cast<size_t>(unit) * floats], scratch_[member].data());
  team_.Barrier();
  unit = 0;
  for (int r = 0; r < static_cast<int>(rows.size()); ++r)
    for (int h = 0; h < config_.kv_heads; unit += segments(rows[r]), ++h)
      if ((r * config_.kv_heads + h) % team_.size() == member)
        kernels_.combine_segments(shape_, &segments_[static_cast<size_t>(unit) * floats], segments(rows[r]), h,
                                  QueryRow(layer, rows, r).out);
  team_.Barrier();
}

void Forward::AttentionOutput(int member, const LayerWeights& layer, int rows) {
  QuantizeRows(member, rows, attention_.data(), layer.o.columns(), attention_q_);
  team_.Barrier();
  Multiply(member, layer.o, attention_q_, attention_.data(), rows, product_.data(), config_.embedding);
  team_.Barrier();
}

void Forward::FeedForward(int member, const LayerWeights& layer, int rows) {
  const int e = config_.embedding, f = config_.feed_forward;
  auto [first, last] = Share(member, rows);
  for (int r = first; r < last; ++r)
    kernels_.add(&product_[static_cast<size_t>(r) * e], e, &x_[static_cast<size_t>(r) * e]);
  NormRows(member, rows, layer.feed_forward_norm, normed_q_);
  team_.Barrier();
  Multiply(member, layer.gate, normed_q_, normed_.data(), rows, gate_.data(), f);
  Multiply(member, layer.up, normed_q_, normed_.data(), rows, up_.data(), f);
  team_.Barrier();
  for (int r = first; r < last; ++r) {
    const size_t at = static_cast<size_t>(r) * f;
    kernels_.silu_mul(&gate_[at], &up_[at], f, &hidden_[at]);
    kernels_.quantize_row(&hidden_[at], f, hidden_q_.row(r));
  }
  team_.Barrier();
  Multiply(member, layer.down, hidden_q_, hidden_.data(), rows, product_.data(), e);
  team_.Barrier();
  for (int r = first; r < last; ++r)
    kernels_.add(&product_[static_cast<size_t>(r) * e], e, &x_[static_cast<size_t>(r) * e]);
}

void Forward::Head(int member, int rows) {
  NormRows(member, rows, weights_.output_norm, wide_normed_q_);
  team_.Barrier();
  Multiply(member, weights_.head, wide_normed_q_, normed_.data(), rows, logits_.data(), config_.vocabulary);
}

void Forward::Run(const std::vector<Row>& rows, const std::function<void(int)>& after_layer) {
  const int n = static_cast<int>(rows.size());
  kept_.clear();
  std::vector<int> kept_at;
  for (int r = 0; r < n; ++r)
    if (rows[r].logits) kept_.push_back(rows[r]), kept_at.push_back(r);
  const int wanted = static_cast<int>(kept_.size());
  Reserve(rows, wanted);
  const int q_width = config_.query_heads * config_.head_dim;

  team_.Run([&](int member) {
    Embed(member, rows);
    for (int l = 0; l < config_.layers; ++l) {
      const LayerWeights& layer = weights_.layers[l];
      const bool last_layer = l + 1 == config_.layers;
      AttentionInput(member, layer, n);
      WriteKv(member, l, rows);
      if (member == 0 && after_layer) after_layer(l);
      if (last_layer && wanted < n) {  // after K and V only the rows with logits matter
        if (member == 0)
          for (int i = 0; i < wanted; ++i) {
            std::memmove(&x_[static_cast<size_t>(i) * config_.embedding],
                         &x_[static_cast<size_t>(kept_at[i]) * config_.embedding], sizeof(float) * config_.embedding);
            std::memmove(&q_[static_cast<size_t>(i) * q_width], &q_[static_cast<size_t>(kept_at[i]) * q_width],
                         sizeof(float) * q_width);
          }
        team_.Barrier();
      }
      const std::vector<Row>& active = last_layer ? kept_ : rows;
      const int m = static_cast<int>(active.size());
      if (m > 0) {
        Attend(member, l, active);
        AttentionOutput(member, layer, m);
        FeedForward(member, layer, m);
      }
    }
    if (wanted > 0) Head(member, wanted);
  });
}

}  // namespace tokenworks::model::cpu
