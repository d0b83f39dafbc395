// SPDX-License-Identifier: Apache-2.0
#include "engine/model/step_plan_check.h"

#include <algorithm>

#include "platform/base/str_cat.h"

namespace tokenworks::model {
namespace {

using base::StrCat;

template <typename... T>
Status Bad(const StepPlan& plan, const T&... what) {
  return absl::InvalidArgumentError(StrCat("step plan ", plan.id, ": ", what...));
}

Status CheckItem(const StepPlan& plan, const StepItem& item, const ExecutorInfo& info) {
  const int64_t end = int64_t{item.first_position} + static_cast<int64_t>(item.tokens.size());
  if (item.tokens.empty() || item.first_position < 0 || end > info.context_length)
    return Bad(plan, "positions ", item.first_position, " to ", end, " are empty or beyond the context");
  if (static_cast<int64_t>(item.blocks.size()) * kBlockTokens < end)
    return Bad(plan, item.blocks.size(), " blocks for ", end, " positions");
  for (const BlockId b : item.blocks)
    if (b < 0 || b >= info.kv_blocks) return Bad(plan, "block ", b, " outside the pool");
  if (item.tokens[0] == kPendingToken) {
    if (info.depth > 1 && item.tokens.size() == 1 && item.samples.size() == 1) return OkStatus();
    return Bad(plan, "a pending token stands alone in an item that samples one sequence, on executors of depth 2");
  }
  for (const TokenId t : item.tokens)
    if (t < 0 || t >= info.vocabulary) return Bad(plan, "token ", t, " outside the vocabulary");
  return OkStatus();
}

}  // namespace

Status CheckStepPlan(const StepPlan& plan, const ExecutorInfo& info, const std::function<bool(SequenceId)>& is_open) {
  const auto outside = [&](BlockId b) { return b < 0 || b >= info.kv_blocks; };
  for (const BlockCopy& c : plan.copies)
    if (outside(c.source) || outside(c.destination)) return Bad(plan, "copy of a block outside the pool");
  const auto open = [&](SequenceId id) {
    for (const SequenceStart& s : plan.starts)
      if (s.sequence == id) return true;
    return std::find(plan.ends.begin(), plan.ends.end(), id) == plan.ends.end() && is_open(id);
  };
  for (const StepItem& item : plan.items) {
    TW_RETURN_IF_ERROR(CheckItem(plan, item, info));
    for (const SequenceId& id : item.samples)
      if (!open(id)) return Bad(plan, "samples sequence ", id.request.value, "/", id.index, ", which is not open");
  }
  return OkStatus();
}

}  // namespace tokenworks::model
