// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cpu/weights.h"

#include <cstring>

#include "platform/base/str_cat.h"

namespace tokenworks::model::cpu {
namespace {

using base::StrCat;
using kernels::PackedMatrix;
using kernels::WeightType;

class Loader {
 public:
  Loader(const model_files::GgufFile& file, bool reference) : file_(file), reference_(reference) {}

  Status Vector(const std::string& name, int size, std::vector<float>* out) const {
    TW_ASSIGN_OR_RETURN(const model_files::GgufTensor* t, file_.Tensor(name, size, 1));
    out->resize(size);
    kernels::DequantizeRow(static_cast<WeightType>(t->type), t->data.data(), size, out->data());
    return OkStatus();
  }

  Status Matrix(const std::string& name, int columns, int rows, PackedMatrix* out) const {
    TW_ASSIGN_OR_RETURN(const model_files::GgufTensor* t, file_.Tensor(name, columns, rows));
    const auto type = static_cast<WeightType>(t->type);
    if (!reference_) {
      TW_ASSIGN_OR_RETURN(const kernels::WeightForm form, PackedMatrix::FormOf(type));
      *out = PackedMatrix(form, columns);
      return out->Append(type, rows, t->data);
    }
    *out = PackedMatrix(kernels::WeightForm::kF32x8, columns);
    std::vector<float> values(static_cast<size_t>(columns) * rows);
    const size_t row_bytes = kernels::RowBytes(type, columns);
    for (int r = 0; r < rows; ++r)
      kernels::DequantizeRow(type, t->data.data() + row_bytes * r, columns,
                             values.data() + static_cast<size_t>(columns) * r);
    return out->Append(WeightType::kF32, rows, std::as_bytes(std::span(values)));
  }

 private:
  const model_files::GgufFile& file_;
  const bool reference_;
};

Status LoadLayer(const Loader& loader, const ModelConfig& c, int index, LayerWeights* layer) {
  const std::string p = StrCat("blk.", index, ".");
  const int q_rows = c.query_heads * c.head_dim, kv_rows = c.kv_heads * c.head_dim;
  TW_RETURN_IF_ERROR(loader.Vector(p + "attn_norm.weight", c.embedding, &layer->attention_norm));
  TW_RETURN_IF_ERROR(loader.Vector(p + "ffn_norm.weight", c.embedding, &layer->feed_forward_norm));
  TW_RETURN_IF_ERROR(loader.Matrix(p + "attn_q.weight", c.embedding, q_rows, &layer->q));
  TW_RETURN_IF_ERROR(loader.Matrix(p + "attn_k.weight", c.embedding, kv_rows, &layer->k));
  TW_RETURN_IF_ERROR(loader.Matrix(p + "attn_v.weight", c.embedding, kv_rows, &layer->v));
  TW_RETURN_IF_ERROR(loader.Matrix(p + "attn_output.weight", q_rows, c.embedding, &layer->o));
  TW_RETURN_IF_ERROR(loader.Matrix(p + "ffn_gate.weight", c.embedding, c.feed_forward, &layer->gate));
  TW_RETURN_IF_ERROR(loader.Matrix(p + "ffn_up.weight", c.embedding, c.feed_forward, &layer->up));
  return loader.Matrix(p + "ffn_down.weight", c.feed_forward, c.embedding, &layer->down);
}

}  // namespace

StatusOr<Weights> LoadWeights(const model_files::GgufFile& file, const ModelConfig& config, bool reference) {
  const Loader loader(file, reference);
  Weights w;
  TW_ASSIGN_OR_RETURN(const model_files::GgufTensor* embedding,
                      file.Tensor("token_embd.weight", config.embedding, config.vocabulary));
  w.embedding_type = static_cast<WeightType>(embedding->type);
  w.embedding = embedding->data.data();
  w.embedding_row_bytes = kernels::RowBytes(w.embedding_type, config.embedding);
  TW_RETURN_IF_ERROR(loader.Vector("output_norm.weight", config.embedding, &w.output_norm));
  TW_RETURN_IF_ERROR(loader.Matrix(config.tied_embedding ? "token_embd.weight" : "output.weight", config.embedding,
                                   config.vocabulary, &w.head));
  w.bytes = w.head.bytes();
  w.layers.resize(config.layers);
  for (int i = 0; i < config.layers; ++i) {
    LayerWeights& l = w.layers[i];
    TW_RETURN_IF_ERROR(LoadLayer(loader, config, i, &l));
    w.bytes += l.q.bytes() + l.k.bytes() + l.v.bytes() + l.o.bytes() + l.gate.bytes() + l.up.bytes() + l.down.bytes();
  }
  return w;
}

}  // namespace tokenworks::model::cpu
