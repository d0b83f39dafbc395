// SPDX-License-Identifier: Apache-2.0
#include "engine/model/cuda/step_inputs.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace tokenworks::model::cuda {
namespace {

// Beyond any vocabulary: the kernels give zeros for it.
constexpr int32_t kNoToken = std::numeric_limits<int32_t>::max();

}  // namespace

void FillInputs(const StepPlan& plan, const StepShape& shape, const std::vector<kernels::SamplingRow>& rows,
                const std::function<int(SequenceId)>& drawn_before, std::byte* out) {
  const InputOffsets at(shape);
  const auto ints = [&](size_t offset) { return reinterpret_cast<int32_t*>(out + offset); };
  int32_t *tokens = ints(at.tokens), *position = ints(at.position), *sequence = ints(at.sequence),
          *context = ints(at.context), *first_row = ints(at.first_row), *blocks = ints(at.blocks),
          *sample_row = ints(at.sample_row);
  std::fill_n(tokens, shape.rows, kNoToken);
  std::fill_n(position, shape.rows, -1);
  std::fill_n(sequence, shape.rows, 0);
  std::fill_n(context, shape.sequences(), 0);
  std::fill_n(sample_row, shape.samples, kNoToken);

  int decode = 0, chunk = 0, row = shape.decode_rows;  // the next of each
  std::vector<int> last_row;
  for (const StepItem& item : plan.items) {
    const int n = static_cast<int>(item.tokens.size());
    const int s = n == 1 ? decode++ : shape.decode_rows + chunk++, first = n == 1 ? s : row;
    for (int i = 0; i < n; ++i) {
      const TokenId t = item.tokens[i];
      tokens[first + i] = t == kPendingToken ? -1 - drawn_before(item.samples[0]) : t;
      position[first + i] = item.first_position + i;
      sequence[first + i] = s;
    }
    context[s] = item.first_position + n;
    const size_t used = (item.first_position + n + kBlockTokens - 1) / kBlockTokens;
    std::copy_n(item.blocks.begin(), used, blocks + static_cast<size_t>(s) * shape.blocks);
    if (n > 1) {
      first_row[chunk - 1] = first;
      row += n;
    }
    last_row.push_back(first + n - 1);
  }
  first_row[shape.chunks] = row;
  int sample = 0;
  for (size_t i = 0; i < plan.items.size(); ++i)
    for (size_t k = 0; k < plan.items[i].samples.size(); ++k) sample_row[sample++] = last_row[i];
  if (!rows.empty()) std::memcpy(out + at.sampling, rows.data(), rows.size() * sizeof(kernels::SamplingRow));
}

}  // namespace tokenworks::model::cuda
