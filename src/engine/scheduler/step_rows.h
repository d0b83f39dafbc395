// SPDX-License-Identifier: Apache-2.0
// How many rows the next step may have.
#pragma once

#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/step_time_model.h"

namespace tokenworks::scheduler {

struct StepRows {
  int most = 0;  // of decode rows and chunks together, at least the decode rows
  RowsChoice choice = RowsChoice::kDefault;
};

// `decode_rows` of them are taken already, at most options.step_rows_max. On a CPU (options.row_quantum 1) the step
// target counts where there are `others`: a second sequence that runs or waits. On a GPU it counts where there are
// decode rows: chunk_tokens_max rows are halved, down to one quantum, until the step is predicted to be within it;
// the result is a multiple of the quantum. A chunk finds some room as long as step_rows_max leaves it.
StepRows ChooseStepRows(const SchedulerOptions& options, const StepTimeModel& model, int decode_rows, bool others);

}  // namespace tokenworks::scheduler
