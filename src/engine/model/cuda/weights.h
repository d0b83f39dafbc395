// SPDX-License-Identifier: Apache-2.0
// A model's weights on the device: bf16 matrices in the order the kernels read them, norms in float.
#pragma once

#include <vector>

#include "engine/model/model_config.h"
#include "model_files/gguf.h"
#include "platform/device/buffer.h"

namespace tokenworks::model::cuda {

// Matrices are [outputs][inputs].
struct DeviceLayer {
  device::Buffer<float> attention_norm, feed_forward_norm;
  device::Buffer<Bf16> qkv;  // rows of Q, then K, then V
  device::Buffer<Bf16> o;
  device::Buffer<Bf16> gate_up;  // rows of the gate, then up
  device::Buffer<Bf16> down;
};

struct DeviceWeights {
  device::Buffer<Bf16> embedding;  // [LogitsStride][width]: rows beyond the vocabulary are zeros
  device::Buffer<Bf16> own_head;   // likewise; empty when tied
  device::Buffer<float> output_norm;
  device::Buffer<double> frequency;  // [head_dim / 2] radians per position
  std::vector<DeviceLayer> layers;

  const Bf16* head() const { return own_head.size() > 0 ? own_head.data() : embedding.data(); }
};

// Dequantises row by row on the host and copies; returns when all is on the device. InvalidArgument names the tensor
// that is missing or has a wrong shape; errors of the device as they come.
StatusOr<DeviceWeights> LoadDeviceWeights(const model_files::GgufFile& file, const ModelConfig& config,
                                          device::Device& device, device::Stream stream);

}  // namespace tokenworks::model::cuda
