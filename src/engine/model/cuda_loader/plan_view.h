// SPDX-License-Identifier: Apache-2.0
// A step plan as the C interface reads it.
#pragma once

#include <vector>

#include "tokenworks/cuda_abi.h"
#include "tokenworks/executor.h"

namespace tokenworks::model {

// Points into the plan, which must outlive it.
class PlanView {
 public:
  explicit PlanView(const StepPlan& plan);
  PlanView(const PlanView&) = delete;
  PlanView& operator=(const PlanView&) = delete;
  const TwPlan* get() const { return &plan_; }

 private:
  TwStart ViewOf(const SequenceStart& start);
  TwItem ViewOf(const StepItem& item);
  const TwSequence* ViewOf(const std::vector<SequenceId>& sequences);

  // Lists within lists: reserved before they are filled, so that pointers into them stay.
  std::vector<TwSequence> sequences_;
  std::vector<TwTokenValue> biases_;
  std::vector<TwStart> starts_;
  std::vector<TwBlockCopy> copies_;
  std::vector<TwItem> items_;
  TwPlan plan_{};
};

}  // namespace tokenworks::model
