// SPDX-License-Identifier: Apache-2.0
#include "handoff_logits.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kv_transfer/convert.h"

namespace tokenworks::bench {
namespace {

constexpr SequenceId kSequence{{1}, 0};

std::vector<BlockId> BlocksOf(size_t tokens) {
  std::vector<BlockId> blocks((tokens + kBlockTokens - 1) / kBlockTokens);
  std::iota(blocks.begin(), blocks.end(), 0);
  return blocks;
}

// The next `count` tokens of the text, whose last one samples.
Status Run(Executor& e, const std::vector<TokenId>& text, int first, int count, bool opens) {
  StepItem item;
  item.tokens.assign(text.begin() + first, text.begin() + first + count);
  item.first_position = first;
  item.blocks = BlocksOf(text.size());
  item.samples = {kSequence};
  StepPlan plan;
  if (opens) plan.starts = {{kSequence, {}, text, {}}};
  plan.items = {std::move(item)};
  TW_RETURN_IF_ERROR(e.Submit(std::move(plan)));
  return e.Collect().status();
}

// As the two workers do it: group by group, all blocks in one message.
Status HandOver(const Executor& from, Executor& to, const std::vector<BlockId>& blocks) {
  const KvLayout &out = from.info().kv_layout, &in = to.info().kv_layout;
  TW_RETURN_IF_ERROR(kv_transfer::CheckConvertible(out, in));
  const int all = static_cast<int>(out.layers.size()), group = from.info().layer_group_layers;
  for (int first = 0; first < all; first += group) {
    const int layers = std::min(group, all - first);
    const size_t run = out.layers[first].bytes * layers, converted_run = in.layers[first].bytes * layers;
    std::vector<std::byte> message(run * blocks.size()), converted(converted_run * blocks.size());
    TW_RETURN_IF_ERROR(from.CopyBlocksOut(blocks, first, layers, message));
    for (size_t i = 0; i < blocks.size(); ++i)
      kv_transfer::ConvertLayers(out, in, first, layers, std::span(message).subspan(i * run, run),
                                 std::span(converted).subspan(i * converted_run, converted_run));
    TW_RETURN_IF_ERROR(to.CopyBlocksIn(blocks, first, layers, converted));
  }
  return OkStatus();
}

}  // namespace

StatusOr<HandoffLogits> MeasureHandoff(model::cuda::CudaExecutor& cuda, model::cpu::CpuExecutor& receiving,
                                       model::cpu::CpuExecutor& own, const std::vector<TokenId>& text, int prompt) {
  TW_RETURN_IF_ERROR(Run(cuda, text, 0, prompt, true));
  TW_RETURN_IF_ERROR(Run(own, text, 0, prompt, true));
  TW_RETURN_IF_ERROR(HandOver(cuda, receiving, BlocksOf(prompt)));
  HandoffLogits seen;
  for (int p = prompt; p < static_cast<int>(text.size()); ++p) {
    TW_RETURN_IF_ERROR(Run(receiving, text, p, 1, p == prompt));
    TW_RETURN_IF_ERROR(Run(own, text, p, 1, false));
    const float *a = own.last_logits(0), *b = receiving.last_logits(0);
    const int n = own.info().vocabulary;
    double difference = 0, largest = 0;
    for (int i = 0; i < n; ++i) {
      difference = std::max<double>(difference, std::abs(a[i] - b[i]));
      largest = std::max<double>(largest, std::abs(a[i]));
    }
    ++seen.positions;
    seen.worst = std::max(seen.worst, difference / largest);
    seen.same += std::max_element(a, a + n) - a == std::max_element(b, b + n) - b;
  }
  return seen;
}

}  // namespace tokenworks::bench
