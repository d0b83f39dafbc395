// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/convert.h"

#include <algorithm>
#include <cstring>

#include "kernels/simt/bf16.h"
#include "kernels/vector_math/f16.h"
#include "platform/base/str_cat.h"

namespace tokenworks::kv_transfer {
namespace {

constexpr float kLargestF16 = 65504.0f;

// Distances between neighbours of one head's 16 positions, in values; heads and planes lie one after the other.
struct Order {
  int token, dim;
};

// Of K and V; false for a name that is not known.
bool OrdersOf(const KvLayer& layer, Order* k, Order* v) {
  *v = {layer.dim, 1};
  if (layer.inner_order == "plane-head-token-dim") return *k = *v, true;
  if (layer.inner_order == "k-dim16-v-pos16") return *k = {1, kBlockTokens}, true;
  return false;
}

float Load(const std::byte* at, KvDtype type) {
  if (type == KvDtype::kF32) {
    float x;
    std::memcpy(&x, at, 4);
    return x;
  }
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  return type == KvDtype::kBf16 ? ToFloat(Bf16{bits}) : kernels::F16ToF32(bits);
}

void Store(float x, std::byte* at, KvDtype type) {
  if (type == KvDtype::kF32) {
    std::memcpy(at, &x, 4);
    return;
  }
  const uint16_t bits =
      type == KvDtype::kBf16 ? ToBf16(x).bits : kernels::F32ToF16(std::clamp(x, -kLargestF16, kLargestF16));
  std::memcpy(at, &bits, 2);
}

void ConvertLayer(const KvLayer& from, const KvLayer& to, const std::byte* in, std::byte* out) {
  Order from_order[2], to_order[2];
  OrdersOf(from, &from_order[0], &from_order[1]);
  OrdersOf(to, &to_order[0], &to_order[1]);
  const int in_bytes = KvDtypeBytes(from.dtype), out_bytes = KvDtypeBytes(to.dtype);
  for (int plane = 0; plane < from.planes; ++plane) {
    const Order a = from_order[plane], b = to_order[plane];
    for (int head = 0; head < from.heads; ++head) {
      const size_t base = (static_cast<size_t>(plane) * from.heads + head) * from.dim * kBlockTokens;
      for (int t = 0; t < kBlockTokens; ++t)
        for (int d = 0; d < from.dim; ++d)
          Store(Load(in + (base + t * a.token + d * a.dim) * in_bytes, from.dtype),
                out + (base + t * b.token + d * b.dim) * out_bytes, to.dtype);
    }
  }
}

}  // namespace

Status CheckConvertible(const KvLayout& from, const KvLayout& to) {
  const auto no = [](const auto&... what) { return absl::FailedPreconditionError(base::StrCat(what...)); };
  if (from.block_tokens != to.block_tokens || from.layers.size() != to.layers.size())
    return no(from.layers.size(), " layers of ", from.block_tokens, " positions a block there, ", to.layers.size(),
              " of ", to.block_tokens, " here");
  uint64_t from_offset = 0, to_offset = 0;
  for (size_t l = 0; l < from.layers.size(); ++l) {
    const KvLayer &a = from.layers[l], &b = to.layers[l];
    Order k, v;
    if (a.kind != KvLayerKind::kAttention || b.kind != a.kind || a.planes != 2 || b.planes != 2)
      return no("layer ", l, " is not plain K and V");
    if (a.heads != b.heads || a.dim != b.dim)
      return no("layer ", l, " has ", a.heads, " heads of ", a.dim, " there, ", b.heads, " of ", b.dim, " here");
    if (a.offset != from_offset || b.offset != to_offset) return no("layer ", l, " does not follow the one before it");
    from_offset += a.bytes, to_offset += b.bytes;
    for (const KvLayer* layer : {&a, &b}) {
      if (!OrdersOf(*layer, &k, &v)) return no("layer ", l, " has the unknown order '", layer->inner_order, "'");
      if (layer->bytes != uint64_t{2} * layer->heads * layer->dim * kBlockTokens * KvDtypeBytes(layer->dtype))
        return no("layer ", l, " has ", layer->bytes, " bytes, not what its heads and dimensions make");
    }
  }
  if (from.block_bytes != from_offset || to.block_bytes != to_offset)
    return no("blocks of ", from.block_bytes, " bytes there, ", to.block_bytes, " here: not the sum of their layers");
  return OkStatus();
}

void ConvertLayers(const KvLayout& from, const KvLayout& to, int first_layer, int layers, std::span<const std::byte> in,
                   std::span<std::byte> out) {
  for (int l = first_layer; l < first_layer + layers; ++l)
    ConvertLayer(from.layers[l], to.layers[l], in.data() + from.layers[l].offset - from.layers[first_layer].offset,
                 out.data() + to.layers[l].offset - to.layers[first_layer].offset);
}

}  // namespace tokenworks::kv_transfer
