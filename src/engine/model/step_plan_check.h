// SPDX-License-Identifier: Apache-2.0
// What every executor demands of a plan before it touches memory.
#pragma once

#include <functional>

#include "tokenworks/executor.h"

namespace tokenworks::model {

// InvalidArgument names the plan and what breaks the contract of tokenworks/executor.h. `is_open` says whether a
// sequence is open before the plan; its `ends` and `starts` are taken into account here.
Status CheckStepPlan(const StepPlan& plan, const ExecutorInfo& info, const std::function<bool(SequenceId)>& is_open);

}  // namespace tokenworks::model
