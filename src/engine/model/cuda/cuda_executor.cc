// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/cuda_executor.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>

#include "engine/model/cuda/step_inputs.h"
#include "engine/model/step_plan_check.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model::cuda {

using base::StrCat;

Status CudaExecutor::CheckLimits(const StepPlan& plan) const {
  size_t rows = 0, samples = 0;
  for (const StepItem& item : plan.items) rows += item.tokens.size(), samples += item.samples.size();
  if (rows > static_cast<size_t>(limits_.rows) ||
      std::max(samples, plan.items.size()) > static_cast<size_t>(limits_.samples))
    return absl::InvalidArgumentError(StrCat("step plan ", plan.id, ": ", rows, " rows, ", plan.items.size(),
                                             " items and ", samples, " samples; buffers are made for ", limits_.rows,
                                             " rows and ", limits_.samples, " items and samples"));
  return OkStatus();
}

Status CudaExecutor::CheckPending(const StepPlan& plan) const {
  for (const StepItem& item : plan.items)
    if (item.tokens[0] == kPendingToken && !drawn_before_.contains(item.samples[0]))
      return absl::InvalidArgumentError(StrCat("step plan ", plan.id, ": a pending token of sequence ",
                                               item.samples[0].request.value, "/", item.samples[0].index,
                                               ", which drew none in the plan before"));
  return OkStatus();
}

Status CudaExecutor::Check(const StepPlan& plan) const {
  TW_RETURN_IF_ERROR(CheckStepPlan(plan, info_, [&](SequenceId id) { return sampling_->IsOpen(id); }));
  TW_RETURN_IF_ERROR(CheckLimits(plan));
  return CheckPending(plan);
}

Status CudaExecutor::Submit(StepPlan plan) {
  device_->Use();
  if (in_flight_ == kDepth)
    return absl::InvalidArgumentError(StrCat(kDepth, " plans are submitted already; collect one first"));
  const Status sound = Check(plan);
  for (const SequenceId& sequence : plan.ends)
    sampling_->Close(sequence);  // of a refused plan too: nobody says it again
  TW_RETURN_IF_ERROR(sound);
  for (const SequenceStart& start : plan.starts) sampling_->Open(start);
  TW_RETURN_IF_ERROR(LearnForPenalties(plan));
  StepSlot& slot = slots_[(oldest_ + in_flight_) % kDepth];
  const Status enqueued = Enqueue(plan, slot);
  if (!enqueued.ok()) {
    (void)device_->Synchronize(stream_);  // a copy from the slot's memory may be under way
    return enqueued;
  }
  ++in_flight_;
  return OkStatus();
}

// What a step in flight has drawn matters for penalties alone; all others learn it when it is collected.
Status CudaExecutor::LearnForPenalties(const StepPlan& plan) {
  const bool looks = std::any_of(plan.items.begin(), plan.items.end(), [&](const StepItem& item) {
    return std::any_of(item.samples.begin(), item.samples.end(),
                       [&](const SequenceId& s) { return sampling_->LooksAtOutput(s) && drawn_before_.contains(s); });
  });
  for (int i = 0; looks && i < in_flight_; ++i) TW_RETURN_IF_ERROR(Learn(slots_[(oldest_ + i) % kDepth]));
  return OkStatus();
}

Status CudaExecutor::Learn(StepSlot& slot) {
  if (slot.learned) return OkStatus();
  TW_RETURN_IF_ERROR(device_->Wait(slot.end.get()));
  for (size_t i = 0; i < slot.drawings.size(); ++i)
    sampling_->Learn(slot.drawings[i].sequence, slot.drawings[i].opening, slot.token.data()[i]);
  slot.learned = true;
  return OkStatus();
}

Status CudaExecutor::Enqueue(const StepPlan& plan, StepSlot& slot) {
  slot.plan = plan.id;
  slot.reports_groups = plan.report_layer_groups && listener_ && !plan.items.empty();
  slot.drawings.clear();
  slot.any_wide = slot.learned = false;
  TW_RETURN_IF_ERROR(device_->Record(slot.begin.get(), stream_));
  const uint64_t block = info_.kv_layout.block_bytes;
  for (const BlockCopy& c : plan.copies)
    TW_RETURN_IF_ERROR(device_->Copy(BlockAt(c.destination), BlockAt(c.source), block, stream_));
  if (!plan.items.empty()) {
    const StepShape shape = ShapeOf(plan, info_.context_length);
    std::vector<kernels::LogitEdit> edits;
    std::vector<kernels::SamplingRow> rows;
    for (const StepItem& item : plan.items)
      for (const SequenceId& s : item.samples) {
        rows.push_back(sampling_->Draw(s, edits));
        slot.any_wide |= kernels::MayBeWide(rows.back());
        slot.drawings.push_back({s, sampling_->opening(s), rows.back().logprobs});
      }
    FillInputs(
        plan, shape, rows, [&](SequenceId s) { return drawn_before_.at(s); }, slot.inputs.data());
    TW_RETURN_IF_ERROR(device_->Copy(inputs_.data(), slot.inputs.data(), InputOffsets(shape).bytes, stream_));
    TW_RETURN_IF_ERROR(UploadEdits(edits, slot));
    TW_RETURN_IF_ERROR(EnqueueForward(plan, shape, slot));
    TW_RETURN_IF_ERROR(EnqueueSampling(shape, slot));
  }
  if (!slot.drawings.empty()) drawn_before_.clear();
  for (size_t i = 0; i < slot.drawings.size(); ++i) drawn_before_[slot.drawings[i].sequence] = static_cast<int>(i);
  return device_->Record(slot.end.get(), stream_);
}

Status CudaExecutor::EnqueueForward(const StepPlan& plan, const StepShape& shape, StepSlot& slot) {
  if (const auto graph = graphs_.find(shape); graph != graphs_.end() && !slot.reports_groups)
    return device_->Launch(graph->second, stream_);
  const auto after_layer = [&](int layer) -> Status {
    const bool last_of_group = (layer + 1) % info_.layer_group_layers == 0 || layer + 1 == config_.layers;
    if (!plan.report_layer_groups || !last_of_group) return OkStatus();
    return device_->Record(slot.group_done[layer / info_.layer_group_layers].get(), stream_);
  };
  return forward_->Enqueue(shape, inputs_.data(), stream_, after_layer);
}

Status CudaExecutor::UploadEdits(const std::vector<kernels::LogitEdit>& edits, StepSlot& slot) {
  if (edits.empty()) return OkStatus();
  if (edits.size() > edits_.size()) {  // rare: more penalised tokens than ever before
    TW_RETURN_IF_ERROR(device_->Synchronize(stream_));
    TW_ASSIGN_OR_RETURN(auto larger, device::Buffer<kernels::LogitEdit>::Create(*device_, 2 * edits.size()));
    TW_ASSIGN_OR_RETURN(edited_, device::Buffer<float>::Create(*device_, 2 * edits.size()));
    edits_ = std::move(larger);  // last: its size says that both are large enough
  }
  if (edits.size() > slot.edits.size()) {
    TW_ASSIGN_OR_RETURN(slot.edits, device::Pinned<kernels::LogitEdit>::Create(*device_, 2 * edits.size()));
  }
  std::copy(edits.begin(), edits.end(), slot.edits.data());
  return device_->Copy(edits_.data(), slot.edits.data(), edits.size() * sizeof(kernels::LogitEdit), stream_);
}

Status CudaExecutor::EnqueueSampling(const StepShape& shape, StepSlot& slot) {
  const size_t n = slot.drawings.size();
  if (n == 0) return OkStatus();
  const std::byte* rows = inputs_.data() + InputOffsets(shape).sampling;
  kernels::Sample({stream_.handle, false}, {.logits = forward_->logits(),
                                            .row = reinterpret_cast<const kernels::SamplingRow*>(rows),
                                            .edits = edits_.data(),
                                            .edited = edited_.data(),
                                            .token = forward_->drawn(),
                                            .logprob = logprob_.data(),
                                            .top_token = top_token_.data(),
                                            .top_logprob = top_logprob_.data(),
                                            .scratch = sampler_scratch_.data(),
                                            .rows = static_cast<int>(n),
                                            .vocabulary = config_.vocabulary,
                                            .stride = static_cast<int>(LogitsStride(config_.vocabulary)),
                                            .any_wide = slot.any_wide});
  TW_RETURN_IF_ERROR(device_->Copy(slot.token.data(), forward_->drawn(), n * sizeof(int32_t), stream_));
  const bool report = std::any_of(slot.drawings.begin(), slot.drawings.end(), [](auto& d) { return d.logprobs >= 0; });
  if (!report) return OkStatus();
  const size_t tops = n * kernels::kMaxTopTokens;
  TW_RETURN_IF_ERROR(device_->Copy(slot.logprob.data(), logprob_.data(), n * sizeof(float), stream_));
  TW_RETURN_IF_ERROR(device_->Copy(slot.top_token.data(), top_token_.data(), tops * sizeof(int32_t), stream_));
  return device_->Copy(slot.top_logprob.data(), top_logprob_.data(), tops * sizeof(float), stream_);
}

StatusOr<StepResult> CudaExecutor::Collect() {
  device_->Use();
  if (in_flight_ == 0) return absl::FailedPreconditionError("no plan is submitted");
  StepSlot& slot = slots_[oldest_];
  oldest_ = (oldest_ + 1) % kDepth;
  --in_flight_;
  for (int g = 0; slot.reports_groups && g < info_.layer_groups; ++g) {
    TW_RETURN_IF_ERROR(device_->Wait(slot.group_done[g].get()));
    listener_(slot.plan, g);
  }
  TW_RETURN_IF_ERROR(device_->Wait(slot.end.get()));
  TW_RETURN_IF_ERROR(Learn(slot));
  if (copy_failed_) return absl::DataLossError("copying a KV block to or from the device failed; the device is lost");
  StepResult result;
  result.plan = slot.plan;
  for (size_t i = 0; i < slot.drawings.size(); ++i)
    result.samples.push_back({slot.drawings[i].sequence, {slot.Answer(i)}});
  TW_ASSIGN_OR_RETURN(const double us, device_->ElapsedMicroseconds(slot.begin.get(), slot.end.get()));
  result.duration = std::chrono::nanoseconds(static_cast<int64_t>(us * 1e3));
  return result;
}

std::byte* CudaExecutor::BlockAt(BlockId block) const {
  return reinterpret_cast<std::byte*>(pool_.data()) + info_.kv_layout.block_bytes * block;
}

Status CudaExecutor::CopyBlocksOut(std::span<const BlockId> blocks, int first_layer, int layers,
                                   std::span<std::byte> out) const {
  device_->Use();
  const Status copied = transfer_->Out(blocks, first_layer, layers, out);
  if (!copied.ok()) copy_failed_ = true;
  return copied;
}

Status CudaExecutor::CopyBlocksIn(std::span<const BlockId> blocks, int first_layer, int layers,
                                  std::span<const std::byte> in) {
  device_->Use();
  const Status copied = transfer_->In(blocks, first_layer, layers, in);
  if (!copied.ok()) copy_failed_ = true;
  return copied;
}

void CudaExecutor::Pin(std::span<std::byte> memory) {
  device_->Use();
  if (memory.empty()) return;
  const Status pinned = device_->Pin(memory);
  if (pinned.ok() || std::exchange(pin_refused_, true)) return;
  std::fprintf(stderr, "hand-offs copy more slowly: %s\n", std::string(pinned.message()).c_str());
}

void CudaExecutor::Unpin(std::span<std::byte> memory) {
  device_->Use();
  if (!memory.empty()) device_->Unpin(memory);
}

Status CudaExecutor::ReadLogits(int sample, std::span<float> out) const {
  const float* row = forward_->logits() + sample * LogitsStride(config_.vocabulary);
  TW_RETURN_IF_ERROR(device_->Copy(out.data(), row, out.size_bytes(), stream_));
  return device_->Synchronize(stream_);
}

}  // namespace tokenworks::model::cuda
