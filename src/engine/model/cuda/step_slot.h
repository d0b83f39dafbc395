// SPDX-License-Identifier: Apache-2.0
// The host's side of one step in flight: pinned inputs and answers, events, and which sequence each sample is of.
#pragma once

#include <vector>

#include "engine/model/cuda/step_shape.h"
#include "kernels/sampling/sample.h"
#include "platform/device/pinned.h"
#include "tokenworks/executor.h"

namespace tokenworks::model::cuda {

// One sequence that draws in the step.
struct Drawing {
  SequenceId sequence;
  uint64_t opening = 0;
  int logprobs = -1;
};

struct StepSlot {
  // ResourceExhausted when pinned memory is short.
  static StatusOr<StepSlot> Create(device::Device& device, size_t input_bytes, int samples, int layer_groups);

  uint64_t plan = 0;
  bool reports_groups = false;
  std::vector<Drawing> drawings;
  bool any_wide = false;  // kernels::MayBeWide of a row
  bool learned = false;   // the answers are read, the sampler's tables know them

  device::Pinned<std::byte> inputs;
  device::Pinned<kernels::LogitEdit> edits;
  device::Pinned<int32_t> token, top_token;  // [samples], [samples][kMaxTopTokens]
  device::Pinned<float> logprob, top_logprob;
  device::OwnedEvent begin, end;
  std::vector<device::OwnedEvent> group_done;

  // The answer of drawing i; valid after `end`.
  SampledToken Answer(size_t i) const;
};

}  // namespace tokenworks::model::cuda
