// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/forward.h"

#include <algorithm>
#include <cmath>

#include "kernels/attention/decode_attention.h"
#include "kernels/attention/prefill_attention.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gemv/gemv.h"
#include "kernels/rms_norm/add_rms_norm.h"
#include "kernels/rope/rope_kv_write.h"
#include "kernels/swiglu/swiglu.h"

namespace tokenworks::model::cuda {

using device::Buffer;

namespace {

// So many rows go through the own matrix-vector product (measured on an H200: beyond, the library is as fast).
constexpr int kFewRows = 2;
// Algorithms of the library that are timed; the best of eight is at most 9 % ahead of its first suggestion.
constexpr int kTries = 8;

}  // namespace

StatusOr<std::unique_ptr<Forward>> Forward::Create(const ModelConfig& config, const DeviceWeights& weights, Bf16* pool,
                                                   const StepLimits& limits, device::Device& device) {
  std::unique_ptr<Forward> f(new Forward(config, weights, pool, device));
  const size_t rows = limits.rows, samples = RowBucket(limits.samples), e = config.embedding, ff = config.feed_forward;
  const auto make = [&](Buffer<Bf16>& buffer, size_t n, size_t width) -> Status {
    TW_ASSIGN_OR_RETURN(buffer, Buffer<Bf16>::Create(device, n * width));
    return OkStatus();
  };
  for (Buffer<Bf16>* wide : {&f->residual_, &f->normed_, &f->delta_}) TW_RETURN_IF_ERROR(make(*wide, rows, e));
  TW_RETURN_IF_ERROR(make(f->qkv_, rows, f->qkv_width()));
  TW_RETURN_IF_ERROR(make(f->query_, rows, f->q_width()));
  TW_RETURN_IF_ERROR(make(f->attended_, rows, f->q_width()));
  TW_RETURN_IF_ERROR(make(f->gate_up_, rows, 2 * ff));
  TW_RETURN_IF_ERROR(make(f->gated_, rows, ff));
  TW_RETURN_IF_ERROR(make(f->gathered_, samples, e));
  TW_ASSIGN_OR_RETURN(f->logits_, Buffer<float>::Create(device, samples * LogitsStride(config.vocabulary)));
  TW_ASSIGN_OR_RETURN(f->drawn_, Buffer<int32_t>::Create(device, samples));
  const uint64_t partial = MaxPartialFloats(config, limits, device.info().multiprocessors);
  TW_ASSIGN_OR_RETURN(f->partial_, Buffer<float>::Create(device, std::max<uint64_t>(1, partial)));
  return f;
}

Status Forward::Enqueue(const StepShape& shape, const std::byte* inputs, device::Stream stream,
                        const std::function<Status(int)>& after_layer) {
  const InputOffsets at(shape);
  const auto ints = [&](size_t offset) { return reinterpret_cast<const int32_t*>(inputs + offset); };
  // Prologues overlap their predecessors at one row only: at two rows that cost 6 % on an H200.
  const Step step{shape,
                  {stream.handle, shape.rows == 1},
                  stream,
                  ints(at.tokens),
                  ints(at.position),
                  ints(at.sequence),
                  ints(at.context),
                  ints(at.first_row),
                  ints(at.blocks),
                  ints(at.sample_row)};
  const bool few = shape.rows <= kFewRows;
  Embed(step);
  for (int l = 0; l < config_.layers; ++l) {
    const DeviceLayer& layer = weights_.layers[l];
    if (few)
      AttentionInputFew(step, layer);
    else
      TW_RETURN_IF_ERROR(AttentionInputMany(step, l));
    WriteKv(step, l);
    if (after_layer) TW_RETURN_IF_ERROR(after_layer(l));
    if (l + 1 == config_.layers && shape.samples == 0) return OkStatus();  // nobody looks at the rest
    Attend(step, l);
    if (few)
      RestFew(step, layer);
    else
      TW_RETURN_IF_ERROR(RestMany(step, layer));
  }
  if (!few) return HeadMany(step);
  HeadFew(step);
  return OkStatus();
}

Status Forward::Tune(int rows, int samples, device::Stream stream) {
  const int e = config_.embedding, f = config_.feed_forward, head = static_cast<int>(LogitsStride(config_.vocabulary));
  const DeviceLayer& layer = weights_.layers[0];
  const auto tune = [&](const Bf16* x, const Bf16* weight, Bf16* y, float* y_float, int n, int outputs, int inputs) {
    return device_.TuneGemm(
        {.x = x, .weight = weight, .y = y, .y_float = y_float, .rows = n, .outputs = outputs, .inputs = inputs}, kTries,
        stream);
  };
  if (rows > kFewRows) {
    TW_RETURN_IF_ERROR(tune(normed_.data(), layer.qkv.data(), qkv_.data(), nullptr, rows, qkv_width(), e));
    TW_RETURN_IF_ERROR(tune(attended_.data(), layer.o.data(), delta_.data(), nullptr, rows, e, q_width()));
    TW_RETURN_IF_ERROR(tune(normed_.data(), layer.gate_up.data(), gate_up_.data(), nullptr, rows, 2 * f, e));
    TW_RETURN_IF_ERROR(tune(gated_.data(), layer.down.data(), delta_.data(), nullptr, rows, e, f));
  }
  if (samples == 0) return OkStatus();
  return tune(gathered_.data(), weights_.head(), nullptr, logits_.data(), samples, head, e);
}

void Forward::Embed(const Step& s) {
  // The first kernel does not overlap: its inputs come by a copy.
  kernels::GatherEmbedding({s.context.stream, false}, {.table = weights_.embedding.data(),
                                                       .tokens = s.tokens,
                                                       .drawn = drawn_.data(),
                                                       .out = residual_.data(),
                                                       .rows = s.shape.rows,
                                                       .width = config_.embedding,
                                                       .vocabulary = config_.vocabulary});
}

void Forward::WriteKv(const Step& s, int layer) {
  kernels::RopeKvWrite(s.context,
                       {.qkv = qkv_.data(),
                        .query = query_.data(),
                        .kv = kernels::LayerOfPool(pool_, layer, config_.layers, config_.kv_heads, config_.head_dim),
                        .tables = {s.blocks, s.shape.blocks},
                        .sequence = s.sequence,
                        .position = s.position,
                        .frequency = weights_.frequency.data(),
                        .rows = s.shape.rows,
                        .query_heads = config_.query_heads,
                        .kv_heads = config_.kv_heads,
                        .dim = config_.head_dim,
                        .neighbours = config_.rope_neighbours});
}

void Forward::Attend(const Step& s, int layer) {
  const kernels::PagedKv kv = kernels::LayerOfPool(pool_, layer, config_.layers, config_.kv_heads, config_.head_dim);
  const float scale = 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
  const int decode = s.shape.decode_rows;
  if (decode > 0)
    kernels::DecodeAttention(s.context, {.query = query_.data(),
                                         .kv = kv,
                                         .tables = {s.blocks, s.shape.blocks},
                                         .context = s.length,
                                         .out = attended_.data(),
                                         .partial = partial_.data(),
                                         .rows = decode,
                                         .query_heads = config_.query_heads,
                                         .kv_heads = config_.kv_heads,
                                         .dim = config_.head_dim,
                                         .splits = Splits(s.shape, config_, device_.info().multiprocessors),
                                         .scale = scale});
  if (s.shape.chunks > 0)
    kernels::PrefillAttention(s.context,
                              {.query = query_.data(),
                               .kv = kv,
                               .tables = {s.blocks + static_cast<int64_t>(decode) * s.shape.blocks, s.shape.blocks},
                               .first_row = s.first_row,
                               .context = s.length + decode,
                               .out = attended_.data(),
                               .sequences = s.shape.chunks,
                               .max_rows = s.shape.max_chunk_rows,
                               .query_heads = config_.query_heads,
                               .kv_heads = config_.kv_heads,
                               .dim = config_.head_dim,
                               .scale = scale});
}

void Forward::AttentionInputFew(const Step& s, const DeviceLayer& layer) {
  kernels::Gemv(s.context, {.weight = layer.qkv.data(),
                            .x = residual_.data(),
                            .gain = layer.attention_norm.data(),
                            .epsilon = config_.rms_epsilon,
                            .y = qkv_.data(),
                            .rows = s.shape.rows,
                            .outputs = qkv_width(),
                            .inputs = config_.embedding,
                            .multiprocessors = device_.info().multiprocessors});
}

void Forward::RestFew(const Step& s, const DeviceLayer& layer) {
  const int e = config_.embedding, f = config_.feed_forward, rows = s.shape.rows;
  const int multiprocessors = device_.info().multiprocessors;
  kernels::Gemv(s.context, {.weight = layer.o.data(),
                            .x = attended_.data(),
                            .residual = residual_.data(),
                            .y = residual_.data(),
                            .rows = rows,
                            .outputs = e,
                            .inputs = q_width(),
                            .multiprocessors = multiprocessors});
  kernels::Gemv(s.context, {.weight = layer.gate_up.data(),
                            .x = residual_.data(),
                            .gain = layer.feed_forward_norm.data(),
                            .epsilon = config_.rms_epsilon,
                            .swiglu = true,
                            .y = gated_.data(),
                            .rows = rows,
                            .outputs = f,
                            .inputs = e,
                            .multiprocessors = multiprocessors});
  kernels::Gemv(s.context, {.weight = layer.down.data(),
                            .x = gated_.data(),
                            .residual = residual_.data(),
                            .y = residual_.data(),
                            .rows = rows,
                            .outputs = e,
                            .inputs = f,
                            .multiprocessors = multiprocessors});
}

// The head reads the residual stream of the rows that draw, normalised on the way where it can.
void Forward::HeadFew(const Step& s) {
  const Bf16* x = residual_.data();
  if (!s.shape.each_samples) Gather(s, x), x = gathered_.data();
  for (int first = 0; first < s.shape.samples;
       first += kFewRows)  // more samples than rows: one prompt, several choices
    kernels::Gemv(s.context, {.weight = weights_.head(),
                              .x = x + static_cast<size_t>(first) * config_.embedding,
                              .gain = weights_.output_norm.data(),
                              .epsilon = config_.rms_epsilon,
                              .y_float = logits_.data() + first * LogitsStride(config_.vocabulary),
                              .rows = std::min(kFewRows, s.shape.samples - first),
                              .outputs = static_cast<int>(LogitsStride(config_.vocabulary)),
                              .inputs = config_.embedding,
                              .multiprocessors = device_.info().multiprocessors});
}

void Forward::Norm(const Step& s, bool adds, const Buffer<float>& gain) {
  kernels::AddRmsNorm(s.context, {.residual = residual_.data(),
                                  .delta = adds ? delta_.data() : nullptr,
                                  .gain = gain.data(),
                                  .out = normed_.data(),
                                  .rows = s.shape.rows,
                                  .width = config_.embedding,
                                  .epsilon = config_.rms_epsilon});
}

void Forward::Gather(const Step& s, const Bf16* from) {
  kernels::GatherEmbedding(s.context, {.table = from,
                                       .tokens = s.sample_row,
                                       .out = gathered_.data(),
                                       .rows = s.shape.samples,
                                       .width = config_.embedding,
                                       .vocabulary = s.shape.rows});
}

Status Forward::Multiply(device::Stream stream, const Bf16* x, const Bf16* weight, Bf16* y, float* y_float, int rows,
                         int outputs, int inputs) {
  return device_.Gemm(
      {.x = x, .weight = weight, .y = y, .y_float = y_float, .rows = rows, .outputs = outputs, .inputs = inputs},
      stream);
}

Status Forward::AttentionInputMany(const Step& s, int layer) {
  Norm(s, layer > 0, weights_.layers[layer].attention_norm);
  return Multiply(s.stream, normed_.data(), weights_.layers[layer].qkv.data(), qkv_.data(), nullptr, s.shape.rows,
                  qkv_width(), config_.embedding);
}

Status Forward::RestMany(const Step& s, const DeviceLayer& layer) {
  const int e = config_.embedding, f = config_.feed_forward, rows = s.shape.rows;
  TW_RETURN_IF_ERROR(Multiply(s.stream, attended_.data(), layer.o.data(), delta_.data(), nullptr, rows, e, q_width()));
  Norm(s, true, layer.feed_forward_norm);
  TW_RETURN_IF_ERROR(
      Multiply(s.stream, normed_.data(), layer.gate_up.data(), gate_up_.data(), nullptr, rows, 2 * f, e));
  kernels::SwiGlu(s.context, {.gate_up = gate_up_.data(), .out = gated_.data(), .rows = rows, .width = f});
  return Multiply(s.stream, gated_.data(), layer.down.data(), delta_.data(), nullptr, rows, e, f);
}

Status Forward::HeadMany(const Step& s) {
  Norm(s, true, weights_.output_norm);
  const Bf16* x = normed_.data();
  if (!s.shape.each_samples) Gather(s, x), x = gathered_.data();
  return Multiply(s.stream, x, weights_.head(), nullptr, logits_.data(), s.shape.samples,
                  static_cast<int>(LogitsStride(config_.vocabulary)), config_.embedding);
}

}  // namespace tokenworks::model::cuda
