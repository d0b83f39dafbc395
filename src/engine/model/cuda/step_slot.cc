// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/step_slot.h"

namespace tokenworks::model::cuda {

StatusOr<StepSlot> StepSlot::Create(device::Device& device, size_t input_bytes, int samples, int layer_groups) {
  StepSlot s;
  const size_t tops = static_cast<size_t>(samples) * kernels::kMaxTopTokens;
  TW_ASSIGN_OR_RETURN(s.inputs, device::Pinned<std::byte>::Create(device, input_bytes));
  TW_ASSIGN_OR_RETURN(s.token, device::Pinned<int32_t>::Create(device, samples));
  TW_ASSIGN_OR_RETURN(s.logprob, device::Pinned<float>::Create(device, samples));
  TW_ASSIGN_OR_RETURN(s.top_token, device::Pinned<int32_t>::Create(device, tops));
  TW_ASSIGN_OR_RETURN(s.top_logprob, device::Pinned<float>::Create(device, tops));
  TW_ASSIGN_OR_RETURN(s.begin, device::OwnedEvent::Create(device));
  TW_ASSIGN_OR_RETURN(s.end, device::OwnedEvent::Create(device));
  for (int g = 0; g < layer_groups; ++g) {
    TW_ASSIGN_OR_RETURN(device::OwnedEvent event, device::OwnedEvent::Create(device));
    s.group_done.push_back(std::move(event));
  }
  return s;
}

SampledToken StepSlot::Answer(size_t i) const {
  SampledToken out;
  out.token = token.data()[i];
  if (drawings[i].logprobs < 0) return out;
  out.logprob = logprob.data()[i];
  for (int k = 0; k < drawings[i].logprobs; ++k) {
    const size_t at = i * kernels::kMaxTopTokens + k;
    if (top_token.data()[at] >= 0) out.top.push_back({top_token.data()[at], top_logprob.data()[at]});
  }
  return out;
}

}  // namespace tokenworks::model::cuda
