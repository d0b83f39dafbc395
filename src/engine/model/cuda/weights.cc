// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/weights.h"

#include <algorithm>
#include <cmath>

#include "engine/model/cuda/step_shape.h"
#include "kernels/matmul/packed_matrix.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model::cuda {
namespace {

using base::StrCat;
using kernels::WeightType;

// Rows that are dequantised before they are copied.
constexpr int kRowsTogether = 256;

class Loader {
 public:
  Loader(const model_files::GgufFile& file, device::Device& device, device::Stream stream)
      : file_(file), device_(device), stream_(stream) {}

  Status Vector(const std::string& name, int size, device::Buffer<float>* out) {
    TW_ASSIGN_OR_RETURN(const model_files::GgufTensor* t, file_.Tensor(name, size, 1));
    std::vector<float> values(size);
    kernels::DequantizeRow(static_cast<WeightType>(t->type), t->data.data(), size, values.data());
    return Upload(std::span<const float>(values), out);
  }

  template <class T>
  Status Upload(std::span<const T> values, device::Buffer<T>* out) {
    TW_ASSIGN_OR_RETURN(*out, device::Buffer<T>::Create(device_, values.size()));
    TW_RETURN_IF_ERROR(out->Upload(values, stream_));
    return device_.Synchronize(stream_);
  }

  // The matrices one below the other, then rows of zeros up to `rows_wanted`.
  struct Part {
    std::string name;
    int rows;
  };
  Status Matrix(const std::vector<Part>& parts, int columns, device::Buffer<Bf16>* out, size_t rows_wanted = 0) {
    size_t rows = 0;
    for (const Part& p : parts) rows += p.rows;
    TW_ASSIGN_OR_RETURN(*out, device::Buffer<Bf16>::Create(device_, std::max(rows, rows_wanted) * columns));
    if (rows_wanted > rows) TW_RETURN_IF_ERROR(device_.Fill(out->data(), 0, out->bytes(), stream_));
    Bf16* to = out->data();
    for (const Part& p : parts) {
      TW_ASSIGN_OR_RETURN(const model_files::GgufTensor* t, file_.Tensor(p.name, columns, p.rows));
      TW_RETURN_IF_ERROR(Rows(*t, columns, p.rows, to));
      to += static_cast<size_t>(p.rows) * columns;
    }
    return OkStatus();
  }

 private:
  Status Rows(const model_files::GgufTensor& t, int columns, int rows, Bf16* to) {
    const auto type = static_cast<WeightType>(t.type);
    const size_t row_bytes = kernels::RowBytes(type, columns);
    row_.resize(columns);
    for (int first = 0; first < rows; first += kRowsTogether) {
      const int count = std::min(kRowsTogether, rows - first);
      rows_.resize(static_cast<size_t>(count) * columns);
      for (int r = 0; r < count; ++r) {
        kernels::DequantizeRow(type, t.data.data() + row_bytes * (first + r), columns, row_.data());
        Bf16* const out = &rows_[static_cast<size_t>(r) * columns];
        for (int i = 0; i < columns; ++i) out[i] = ToBf16(row_[i]);
      }
      TW_RETURN_IF_ERROR(
          device_.Copy(to + static_cast<size_t>(first) * columns, rows_.data(), rows_.size() * sizeof(Bf16), stream_));
      TW_RETURN_IF_ERROR(device_.Synchronize(stream_));  // rows_ is used again
    }
    return OkStatus();
  }

  const model_files::GgufFile& file_;
  device::Device& device_;
  const device::Stream stream_;
  std::vector<float> row_;
  std::vector<Bf16> rows_;
};

Status LoadLayer(Loader& loader, const ModelConfig& c, int index, DeviceLayer* layer) {
  const std::string p = StrCat("blk.", index, ".");
  const int q = c.query_heads * c.head_dim, kv = c.kv_heads * c.head_dim, e = c.embedding, f = c.feed_forward;
  TW_RETURN_IF_ERROR(loader.Vector(p + "attn_norm.weight", e, &layer->attention_norm));
  TW_RETURN_IF_ERROR(loader.Vector(p + "ffn_norm.weight", e, &layer->feed_forward_norm));
  TW_RETURN_IF_ERROR(
      loader.Matrix({{p + "attn_q.weight", q}, {p + "attn_k.weight", kv}, {p + "attn_v.weight", kv}}, e, &layer->qkv));
  TW_RETURN_IF_ERROR(loader.Matrix({{p + "attn_output.weight", e}}, q, &layer->o));
  TW_RETURN_IF_ERROR(loader.Matrix({{p + "ffn_gate.weight", f}, {p + "ffn_up.weight", f}}, e, &layer->gate_up));
  return loader.Matrix({{p + "ffn_down.weight", e}}, f, &layer->down);
}

std::vector<double> Frequencies(const ModelConfig& c) {
  std::vector<double> frequency(c.head_dim / 2);
  for (size_t i = 0; i < frequency.size(); ++i) {
    frequency[i] = std::pow(c.rope_base, -2.0 * static_cast<double>(i) / c.head_dim);
    if (!c.rope_factors.empty()) frequency[i] /= c.rope_factors[i];
  }
  return frequency;
}

}  // namespace

StatusOr<DeviceWeights> LoadDeviceWeights(const model_files::GgufFile& file, const ModelConfig& config,
                                          device::Device& device, device::Stream stream) {
  Loader loader(file, device, stream);
  DeviceWeights w;
  const int e = config.embedding, vocabulary = config.vocabulary;
  const uint64_t rows = LogitsStride(vocabulary);
  TW_RETURN_IF_ERROR(loader.Matrix({{"token_embd.weight", vocabulary}}, e, &w.embedding, rows));
  if (!config.tied_embedding) TW_RETURN_IF_ERROR(loader.Matrix({{"output.weight", vocabulary}}, e, &w.own_head, rows));
  TW_RETURN_IF_ERROR(loader.Vector("output_norm.weight", config.embedding, &w.output_norm));
  TW_RETURN_IF_ERROR(loader.Upload(std::span<const double>(Frequencies(config)), &w.frequency));
  w.layers.resize(config.layers);
  for (int i = 0; i < config.layers; ++i) TW_RETURN_IF_ERROR(LoadLayer(loader, config, i, &w.layers[i]));
  return w;
}

}  // namespace tokenworks::model::cuda
