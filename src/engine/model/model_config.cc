// SPDX-License-Identifier: Apache-2.0
#include "engine/model/model_config.h"

#include <algorithm>
#include <cstring>

#include "platform/base/str_cat.h"

namespace tokenworks::model {
namespace {

using base::StrCat;

Status ReadDimension(const model_files::GgufFile& file, const std::string& key, uint64_t lowest, uint64_t highest,
                     int* out) {
  TW_ASSIGN_OR_RETURN(const uint64_t value, file.Unsigned(key));
  if (value < lowest || value > highest)
    return absl::InvalidArgumentError(
        StrCat(file.path(), ": ", key, " is ", value, "; it must lie between ", lowest, " and ", highest));
  *out = static_cast<int>(value);
  return OkStatus();
}

// The model's own end tokens: eos, end of turn, and the padding-like end of text that chat models also emit.
std::vector<TokenId> EndTokens(const model_files::GgufFile& file, int vocabulary) {
  std::vector<TokenId> ids;
  const auto add = [&](uint64_t id) {
    if (id < static_cast<uint64_t>(vocabulary) &&
        std::find(ids.begin(), ids.end(), static_cast<TokenId>(id)) == ids.end())
      ids.push_back(static_cast<TokenId>(id));
  };
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (const auto id = file.Unsigned(key); id.ok()) add(*id);
  const auto tokens = file.Strings("tokenizer.ggml.tokens");
  if (tokens.ok())
    for (size_t i = 0; i < tokens->size(); ++i)
      for (const char* name : {"<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>"})
        if ((*tokens)[i] == name) add(i);
  return ids;
}

}  // namespace

StatusOr<ModelConfig> ReadModelConfig(const model_files::GgufFile& file) {
  ModelConfig c;
  TW_ASSIGN_OR_RETURN(c.architecture, file.String("general.architecture"));
  if (c.architecture != "llama")
    return absl::UnimplementedError(
        StrCat(file.path(), " has the architecture '", c.architecture, "'; supported is llama"));
  const std::string a = c.architecture + ".";
  if (auto name = file.String("general.name"); name.ok()) c.name = *name;
  TW_RETURN_IF_ERROR(ReadDimension(file, a + "block_count", 1, 1024, &c.layers));
  TW_RETURN_IF_ERROR(ReadDimension(file, a + "embedding_length", 32, 1 << 16, &c.embedding));
  TW_RETURN_IF_ERROR(ReadDimension(file, a + "feed_forward_length", 32, 1 << 18, &c.feed_forward));
  TW_RETURN_IF_ERROR(ReadDimension(file, a + "context_length", 16, 1 << 24, &c.context_length));
  TW_RETURN_IF_ERROR(ReadDimension(file, a + "attention.head_count", 1, 1024, &c.query_heads));
  c.kv_heads = c.query_heads;
  if (file.Has(a + "attention.head_count_kv"))
    TW_RETURN_IF_ERROR(ReadDimension(file, a + "attention.head_count_kv", 1, c.query_heads, &c.kv_heads));
  c.head_dim = c.embedding / c.query_heads;
  if (file.Has(a + "attention.key_length"))
    TW_RETURN_IF_ERROR(ReadDimension(file, a + "attention.key_length", 8, 256, &c.head_dim));
  if (c.query_heads % c.kv_heads != 0 || c.head_dim % 8 != 0 || c.head_dim > 256 || c.embedding % 32 != 0 ||
      c.feed_forward % 32 != 0)
    return absl::InvalidArgumentError(StrCat(file.path(), ": ", c.query_heads, " query heads, ", c.kv_heads,
                                             " KV heads of ", c.head_dim, ", width ", c.embedding, " and feed-forward ",
                                             c.feed_forward, " do not fit together"));
  TW_ASSIGN_OR_RETURN(const double epsilon, file.Float(a + "attention.layer_norm_rms_epsilon"));
  c.rms_epsilon = static_cast<float>(epsilon);
  if (auto base = file.Float(a + "rope.freq_base"); base.ok()) c.rope_base = *base;
  if (!(c.rope_base > 1) || !(epsilon >= 0 && epsilon < 1))
    return absl::InvalidArgumentError(
        StrCat(file.path(), ": rope.freq_base ", c.rope_base, " or rms epsilon ", epsilon, " is impossible"));
  int rope_dims = c.head_dim;
  if (file.Has(a + "rope.dimension_count"))
    TW_RETURN_IF_ERROR(ReadDimension(file, a + "rope.dimension_count", 2, 256, &rope_dims));
  if (rope_dims != c.head_dim)
    return absl::UnimplementedError(
        StrCat(file.path(), ": rope over ", rope_dims, " of ", c.head_dim, " dimensions is not supported"));
  if (const auto scaling = file.String(a + "rope.scaling.type"); scaling.ok() && *scaling != "none")
    return absl::UnimplementedError(StrCat(file.path(), ": rope scaling '", *scaling, "' is not supported"));
  const model_files::GgufTensor* embedding = file.Find("token_embd.weight");
  if (embedding == nullptr) return absl::InvalidArgumentError(StrCat(file.path(), " has no tensor token_embd.weight"));
  c.vocabulary = static_cast<int>(embedding->rows());
  c.tied_embedding = file.Find("output.weight") == nullptr;
  if (const model_files::GgufTensor* factors = file.Find("rope_freqs.weight")) {
    if (factors->type != 0 || factors->columns() != static_cast<uint64_t>(c.head_dim / 2))
      return absl::InvalidArgumentError(
          StrCat(file.path(), ": tensor rope_freqs.weight must hold ", c.head_dim / 2, " F32 values"));
    c.rope_factors.resize(c.head_dim / 2);
    std::memcpy(c.rope_factors.data(), factors->data.data(), factors->data.size());
  }
  c.end_tokens = EndTokens(file, c.vocabulary);
  return c;
}

}  // namespace tokenworks::model
