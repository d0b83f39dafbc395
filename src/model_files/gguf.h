// SPDX-License-Identifier: Apache-2.0
// GGUF v2/v3 model files, memory-mapped; no size in the file is trusted.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "platform/base/mapped_file.h"
#include "tokenworks/status.h"

namespace tokenworks::model_files {

struct GgufValue;
using GgufArray = std::vector<GgufValue>;
// Integers of all widths become int64 / uint64, floats double.
struct GgufValue {
  std::variant<uint64_t, int64_t, double, bool, std::string, GgufArray> value;
};

struct GgufTensor {
  std::string name;
  uint32_t type = 0;           // as GGUF numbers it; one that kernels::RowBytes knows
  std::vector<uint64_t> dims;  // dims[0] = columns, dims[1] = rows, …
  std::span<const std::byte> data;
  uint64_t columns() const { return dims.empty() ? 1 : dims[0]; }
  uint64_t rows() const {
    uint64_t n = 1;
    for (size_t i = 1; i < dims.size(); ++i) n *= dims[i];
    return n;
  }
};

// Immutable after Open; safe to read from any thread. Tensor data points into the mapping.
class GgufFile {
 public:
  // InvalidArgument names the file, the key or tensor and what is wrong with it.
  static StatusOr<std::unique_ptr<GgufFile>> Open(const std::string& path);

  // NotFound when the key is absent, InvalidArgument when it has another type; the message names the key.
  StatusOr<uint64_t> Unsigned(std::string_view key) const;
  StatusOr<double> Float(std::string_view key) const;
  StatusOr<bool> Bool(std::string_view key) const;
  StatusOr<std::string> String(std::string_view key) const;
  StatusOr<std::vector<std::string>> Strings(std::string_view key) const;
  StatusOr<std::vector<int64_t>> Integers(std::string_view key) const;
  bool Has(std::string_view key) const;

  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* Find(std::string_view name) const;
  // InvalidArgument when there is no such tensor or it has another shape.
  StatusOr<const GgufTensor*> Tensor(std::string_view name, int columns, int rows) const;
  const std::string& path() const { return file_->path(); }
  // Hex XXH3-128 of the whole file.
  std::string Digest() const;

 private:
  friend class GgufParser;
  std::unique_ptr<base::MappedFile> file_;
  std::unordered_map<std::string, GgufValue> metadata_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string, size_t> by_name_;

  StatusOr<const GgufValue*> Lookup(std::string_view key) const;
};

}  // namespace tokenworks::model_files
