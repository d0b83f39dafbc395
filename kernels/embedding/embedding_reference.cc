// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding/embedding.h"

namespace tokenworks::kernels {

void GatherEmbeddingReference(const EmbeddingArgs& a) {
  for (int64_t row = 0; row < a.rows; ++row)
    for (int64_t i = 0; i < a.width; ++i) {
      const int64_t token = a.tokens[row];
      a.out[row * a.width + i] = token >= 0 && token < a.vocabulary ? a.table[token * a.width + i] : Bf16{0};
    }
}

}  // namespace tokenworks::kernels
