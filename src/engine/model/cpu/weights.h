// SPDX-License-Identifier: Apache-2.0
// A model's weights as the CPU kernels read them, packed once at load.
#pragma once

#include <memory>
#include <vector>

#include "engine/model/model_config.h"
#include "kernels/matmul/packed_matrix.h"
#include "model_files/gguf.h"

namespace tokenworks::model::cpu {

struct LayerWeights {
  std::vector<float> attention_norm, feed_forward_norm;
  kernels::PackedMatrix q, k, v, o, gate, up, down;
};

struct Weights {
  kernels::WeightType embedding_type = kernels::WeightType::kF32;
  const std::byte* embedding = nullptr;  // rows in GGUF form, inside the mapped file
  size_t embedding_row_bytes = 0;
  std::vector<LayerWeights> layers;
  std::vector<float> output_norm;
  kernels::PackedMatrix head;
  size_t bytes = 0;  // packed, without the mapped embedding
};

// With `reference` every matrix is dequantised to F32 (the oracle path).
// InvalidArgument names the tensor that is missing or has a wrong shape or type.
StatusOr<Weights> LoadWeights(const model_files::GgufFile& file, const ModelConfig& config, bool reference);

}  // namespace tokenworks::model::cpu
