// SPDX-License-Identifier: Apache-2.0
// One pass of a Llama-shaped model over all rows of a step.
#pragma once

#include <functional>
#include <vector>

#include "engine/model/cpu/thread_team.h"
#include "engine/model/cpu/weights.h"
#include "engine/model/model_config.h"
#include "kernels/kernel_set.h"
#include "tokenworks/ids.h"
#include "tokenworks/kv_layout.h"

namespace tokenworks::model::cpu {

// One token to compute. `blocks` is its sequence's block table; logits says whether its output row is wanted.
struct Row {
  TokenId token;
  int position;
  const BlockId* blocks;
  bool logits;
};

// Owns the activations' memory, grown to the largest step seen. Thread: Run on the engine thread.
class Forward {
 public:
  Forward(const ModelConfig& config, const Weights& weights, const KvLayout& layout, std::byte* pool,
          const kernels::KernelSet& kernels, ThreadTeam& team, bool reference);

  // Computes K and V of all rows into the pool and the logits of the rows that want them, in row order.
  // after_layer(l) runs on the calling thread once K and V of layer l are in the pool for all rows.
  void Run(const std::vector<Row>& rows, const std::function<void(int)>& after_layer);

  // [wanted rows][vocabulary] of the last Run.
  const float* logits(int wanted) const { return logits_.data() + static_cast<size_t>(wanted) * config_.vocabulary; }

 private:
  void Reserve(const std::vector<Row>& step, int wanted);
  void Embed(int member, const std::vector<Row>& rows);
  void AttentionInput(int member, const LayerWeights& layer, int rows);
  void WriteKv(int member, int layer, const std::vector<Row>& rows);
  void Attend(int member, int layer, const std::vector<Row>& rows);
  void AttendInSegments(int member, int layer, const std::vector<Row>& rows);
  bool InSegments(const std::vector<Row>& rows) const;
  kernels::AttentionRow QueryRow(int layer, const std::vector<Row>& rows, int r);
  void AttentionOutput(int member, const LayerWeights& layer, int rows);
  void FeedForward(int member, const LayerWeights& layer, int rows);
  void Head(int member, int rows);
  // Rows that this member normalises into normed_ and quantises into `out`.
  void NormRows(int member, int rows, const std::vector<float>& gain, kernels::Activations& out);
  void QuantizeRows(int member, int rows, const float* x, int width, kernels::Activations& out);
  // out[row][..] = w * input for this member's share of the row groups.
  void Multiply(int member, const kernels::PackedMatrix& w, const kernels::Activations& quantised, const float* plain,
                int rows, float* out, size_t stride);
  std::pair<int, int> Share(int member, int count) const;

  const ModelConfig& config_;
  const Weights& weights_;
  const KvLayout& layout_;
  std::byte* const pool_;
  const kernels::KernelSet& kernels_;
  ThreadTeam& team_;
  const kernels::AttentionShape shape_;
  std::vector<float> cosine_, sine_;  // [context][head_dim/2]

  std::vector<float> x_, normed_, q_, k_, v_, attention_, product_, gate_, up_, hidden_, logits_;
  // Scores and logits show the rounding of their input most (over half of the fast path's divergence): the input of Q,
  // K, V and of the output head is wide.
  kernels::Activations wide_normed_q_;
  kernels::Activations normed_q_, attention_q_, hidden_q_;
  std::vector<float> segments_;              // results of attention in segments
  std::vector<std::vector<float>> scratch_;  // per member
  std::vector<Row> kept_;                    // rows of the last layer's second half
};

}  // namespace tokenworks::model::cpu
