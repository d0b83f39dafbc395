// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "kernels/attention/decode_attention.h"
#include "kernels/attention/prefill_attention.h"

namespace tokenworks::kernels {

// Row by row: a chunk's row is a decode row with a shorter context.
void PrefillAttentionReference(const PrefillAttentionArgs& a) {
  for (int s = 0; s < a.sequences; ++s)
    for (int64_t row = a.first_row[s]; row < a.first_row[s + 1]; ++row) {
      const int32_t context = a.context[s] - (a.first_row[s + 1] - 1 - static_cast<int32_t>(row));
      const int64_t offset = row * a.query_heads * a.dim;
      DecodeAttentionReference({.query = a.query + offset,
                                .kv = a.kv,
                                .tables = {a.tables.blocks + int64_t{s} * a.tables.stride, a.tables.stride},
                                .context = &context,
                                .out = a.out + offset,
                                .rows = 1,
                                .query_heads = a.query_heads,
                                .kv_heads = a.kv_heads,
                                .dim = a.dim,
                                .scale = a.scale});
    }
}

}  // namespace tokenworks::kernels
