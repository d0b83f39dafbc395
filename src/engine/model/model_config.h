// SPDX-License-Identifier: Apache-2.0
// A decoder-only transformer described by data: every dimension from the file's metadata.
#pragma once

#include <string>
#include <vector>

#include "model_files/gguf.h"
#include "tokenworks/ids.h"
#include "tokenworks/status.h"

namespace tokenworks::model {

struct ModelConfig {
  std::string architecture, name;
  int layers = 0;
  int embedding = 0;  // width of the residual stream
  int query_heads = 0, kv_heads = 0, head_dim = 0;
  int feed_forward = 0;
  int vocabulary = 0;
  int context_length = 0;
  float rms_epsilon = 1e-5f;
  double rope_base = 10000;
  bool rope_neighbours = true;      // rotates (2i, 2i+1); llama GGUF files hold Q and K permuted for it
  std::vector<float> rope_factors;  // divide the frequencies (rope_freqs.weight); empty = none
  bool tied_embedding = false;
  std::vector<TokenId> end_tokens;
};

// InvalidArgument names the key and the impossible value; Unimplemented an architecture that is not supported.
StatusOr<ModelConfig> ReadModelConfig(const model_files::GgufFile& file);

}  // namespace tokenworks::model
