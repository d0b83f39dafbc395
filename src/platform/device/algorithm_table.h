// SPDX-License-Identifier: Apache-2.0
// The fastest algorithms of matrix products by shape, as text that holds for one card and one version of the library.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tokenworks/status.h"

namespace tokenworks::device {

struct GemmShape {
  int rows = 0, outputs = 0, inputs = 0;
  bool float_result = false, accumulate = false;
  auto operator<=>(const GemmShape&) const = default;
};

struct TunedAlgorithm {
  std::array<uint8_t, 64> bytes{};  // the library's own, never looked into
  double microseconds = 0;          // measured; kept to a thousandth
};

using AlgorithmTable = std::map<GemmShape, TunedAlgorithm>;

// What a table holds for: another card is fast with others, another version reads the bytes differently.
struct TableSubject {
  std::string card;              // "NVIDIA H200"
  int compute_capability = 0;    // 90
  uint64_t library_version = 0;  // 130100
};

inline constexpr size_t kAlgorithmsMax = 4096, kTableBytesMax = size_t{1} << 20;

// Whether a line can say it; what it cannot is measured at every start.
bool IsStorable(const GemmShape& shape, const TunedAlgorithm& algorithm);

// "NVIDIA_H200-sm_90-cublasLt-130100.txt".
std::string TableFileName(const TableSubject& subject);
// A head that names the subject, one line a shape (rows outputs inputs float accumulate microseconds algorithm), and a
// last line with their number and a checksum. All of it must be storable.
std::string PrintTable(const TableSubject& subject, const AlgorithmTable& table);
// The last line for the text before it.
std::string PrintTableEnd(std::string_view text);
// Exactly what PrintTable writes; FailedPrecondition for another subject or format, InvalidArgument for anything else,
// with the line.
StatusOr<AlgorithmTable> ParseTable(std::string_view text, const TableSubject& subject);

}  // namespace tokenworks::device
