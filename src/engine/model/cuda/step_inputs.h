// SPDX-License-Identifier: Apache-2.0
// Turns a step plan into the arrays that the kernels read.
#pragma once

#include <functional>
#include <vector>

#include "engine/model/cuda/step_shape.h"
#include "kernels/sampling/sample.h"
#include "tokenworks/executor.h"

namespace tokenworks::model::cuda {

// Fills `out` (InputOffsets(shape).bytes, host memory) for a checked plan of that shape. drawn_before(sequence): the
// sample of the plan before that drew the sequence's pending token. `rows`: one per sample, in order of the items.
void FillInputs(const StepPlan& plan, const StepShape& shape, const std::vector<kernels::SamplingRow>& rows,
                const std::function<int(SequenceId)>& drawn_before, std::byte* out);

}  // namespace tokenworks::model::cuda
