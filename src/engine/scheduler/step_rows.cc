// SPDX-License-Identifier: Apache-2.0
#include "engine/scheduler/step_rows.h"

#include <algorithm>

namespace tokenworks::scheduler {
namespace {

constexpr int kChunkAtLeast = 16;

StepRows OnCpu(const SchedulerOptions& o, const StepTimeModel& model, int decode_rows, bool others) {
  StepRows out{o.chunk_tokens_max, RowsChoice::kPrefillRate};
  if (others) {
    const int within = model.RowsWithin(o.step_target, kChunkAtLeast) / kBlockTokens * kBlockTokens;
    out.most = std::min(o.chunk_tokens_max, std::max(kChunkAtLeast, within));
    out.choice = out.most == o.chunk_tokens_max ? RowsChoice::kDefault
                 : out.most > kChunkAtLeast     ? RowsChoice::kLatency
                                                : RowsChoice::kTight;
  }
  out.most = std::min(o.step_rows_max, std::max(out.most, decode_rows + kChunkAtLeast));
  return out;
}

StepRows OnGpu(const SchedulerOptions& o, const StepTimeModel& model, int decode_rows) {
  const int quantum = o.row_quantum;
  const auto whole = [&](int rows) { return std::max(quantum, rows / quantum * quantum); };
  if (decode_rows == 0) return {std::min(o.step_rows_max, whole(o.step_rows_max)), RowsChoice::kPrefillRate};
  StepRows out{whole(std::min(o.chunk_tokens_max, o.step_rows_max)), RowsChoice::kDefault};
  while (out.most > quantum && model.PredictMs(out.most) > Milliseconds(o.step_target)) {
    out.most = whole(out.most / 2);
    out.choice = out.most > quantum ? RowsChoice::kLatency : RowsChoice::kTight;
  }
  out.most = std::max(out.most, whole(decode_rows + kChunkAtLeast + quantum - 1));
  out.most = std::min(out.most, o.step_rows_max);
  return out;
}

}  // namespace

StepRows ChooseStepRows(const SchedulerOptions& options, const StepTimeModel& model, int decode_rows, bool others) {
  return options.row_quantum > 1 ? OnGpu(options, model, decode_rows) : OnCpu(options, model, decode_rows, others);
}

}  // namespace tokenworks::scheduler
