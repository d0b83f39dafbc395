// SPDX-License-Identifier: Apache-2.0
// Writes GGUF v3 byte for byte, right files and wrong ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tokenworks::gguf {

// Value types as GGUF numbers them.
enum class ValueType : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

// Appends pieces of the format; knows no rule of it, so that a test can break each one.
class Bytes {
 public:
  Bytes& U32(uint32_t v);
  Bytes& U64(uint64_t v);
  Bytes& F32(float v);
  Bytes& Raw(std::string_view v);
  Bytes& Text(std::string_view v);  // length, then content
  const std::string& str() const { return out_; }

 private:
  std::string out_;
};

struct Tensor {
  std::string name;
  uint32_t type = 0;  // 0 F32, 1 F16, 3 Q4_1, 8 Q8_0 ...
  std::vector<uint64_t> dims;
  std::string data;
};

// A well-formed file: pairs and tensors in the order given, data aligned to 32 bytes.
class FileBuilder {
 public:
  FileBuilder& Unsigned(std::string_view key, uint32_t value);
  FileBuilder& Float(std::string_view key, float value);
  FileBuilder& String(std::string_view key, std::string_view value);
  FileBuilder& Strings(std::string_view key, const std::vector<std::string>& values);
  // A pair whose type and value bytes are the caller's.
  FileBuilder& Pair(std::string_view key, uint32_t type, std::string_view value);
  FileBuilder& Add(Tensor tensor);
  std::string Build() const;

 private:
  uint64_t pairs_ = 0;
  Bytes metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace tokenworks::gguf
