// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding/embedding.h"

namespace tokenworks::kernels {

void GatherEmbeddingReference(const EmbeddingArgs& a) {
  for (int64_t row = 0; row < a.rows; ++row)
    for (int64_t i = 0; i < a.width; ++i) {
      const int64_t named = a.tokens[row], token = named < 0 && a.drawn != nullptr ? a.drawn[-1 - named] : named;
      a.out[row * a.width + i] = token >= 0 && token < a.vocabulary ? a.table[token * a.width + i] : Bf16{0};
    }
}

}  // namespace tokenworks::kernels
