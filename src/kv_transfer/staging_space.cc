// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/staging_space.h"

namespace tokenworks::kv_transfer {

std::optional<uint64_t> StagingSpace::Take(uint64_t bytes) {
  if (bytes == 0) return std::nullopt;
  uint64_t begin = 0;
  for (const auto& [used, end] : taken_) {
    if (begin <= used && bytes <= used - begin) break;
    begin = (end + kAlignment - 1) / kAlignment * kAlignment;
  }
  if (begin > bytes_ || bytes > bytes_ - begin) return std::nullopt;
  taken_.emplace(begin, begin + bytes);
  return begin;
}

}  // namespace tokenworks::kv_transfer
