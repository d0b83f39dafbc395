// SPDX-License-Identifier: Apache-2.0
// One pass of a Llama-shaped model over the rows of a step, enqueued on a stream.
#pragma once

#include <functional>
#include <memory>

#include "engine/model/cuda/step_shape.h"
#include "engine/model/cuda/weights.h"
#include "kernels/attention/paged_kv.h"
#include "kernels/simt/launch.h"

namespace tokenworks::model::cuda {

// Owns the activations. Enqueues only: everything it names must live until the stream has passed. One thread.
class Forward {
 public:
  // Borrows all but the shape. ResourceExhausted when the activations do not fit.
  static StatusOr<std::unique_ptr<Forward>> Create(const ModelConfig& config, const DeviceWeights& weights, Bf16* pool,
                                                   const StepLimits& limits, device::Device& device);

  // `inputs` lie in device memory as InputOffsets says; a token -1 - i is the one drawn by sample i of the step before.
  // Writes K and V of all rows into the pool and shape.samples rows of logits. after_layer(l) is called when K and V of
  // layer l are enqueued.
  Status Enqueue(const StepShape& shape, const std::byte* inputs, device::Stream stream,
                 const std::function<Status(int)>& after_layer);

  // Times the matrix library's algorithms for products of so many rows; the head's for so many samples.
  Status Tune(int rows, int samples, device::Stream stream);

  float* logits() const { return logits_.data(); }  // [samples][LogitsStride]
  int32_t* drawn() const { return drawn_.data(); }  // [samples] tokens of the last step, written by the sampler

 private:
  struct Step {
    const StepShape& shape;
    kernels::LaunchContext context;
    device::Stream stream;
    const int32_t *tokens, *position, *sequence, *length, *first_row, *blocks, *sample_row;
  };
  Forward(const ModelConfig& config, const DeviceWeights& weights, Bf16* pool, device::Device& device)
      : config_(config), weights_(weights), pool_(pool), device_(device) {}

  void Embed(const Step& step);
  void WriteKv(const Step& step, int layer);
  void Attend(const Step& step, int layer);
  // One or two rows: own products with norms, gate and residual folded in.
  void AttentionInputFew(const Step& step, const DeviceLayer& layer);
  void RestFew(const Step& step, const DeviceLayer& layer);
  void HeadFew(const Step& step);
  // Many rows: the library's products.
  Status AttentionInputMany(const Step& step, int layer);
  Status RestMany(const Step& step, const DeviceLayer& layer);
  Status HeadMany(const Step& step);

  void Norm(const Step& step, bool adds, const device::Buffer<float>& gain);
  void Gather(const Step& step, const Bf16* from);
  Status Multiply(device::Stream stream, const Bf16* x, const Bf16* weight, Bf16* y, float* y_float, int rows,
                  int outputs, int inputs);
  int q_width() const { return config_.query_heads * config_.head_dim; }
  int qkv_width() const { return (config_.query_heads + 2 * config_.kv_heads) * config_.head_dim; }

  const ModelConfig& config_;
  const DeviceWeights& weights_;
  Bf16* const pool_;
  device::Device& device_;
  // [rows][width] each; gathered_: the rows of the output head.
  device::Buffer<Bf16> residual_, normed_, delta_, qkv_, query_, attended_, gate_up_, gated_, gathered_;
  device::Buffer<float> logits_, partial_;
  device::Buffer<int32_t> drawn_;
};

}  // namespace tokenworks::model::cuda
