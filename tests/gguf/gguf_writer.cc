// SPDX-License-Identifier: Apache-2.0
#include "tests/gguf/gguf_writer.h"

namespace tokenworks::gguf {

Bytes& Bytes::U32(uint32_t v) { return Raw({reinterpret_cast<const char*>(&v), sizeof v}); }
Bytes& Bytes::U64(uint64_t v) { return Raw({reinterpret_cast<const char*>(&v), sizeof v}); }
Bytes& Bytes::F32(float v) { return Raw({reinterpret_cast<const char*>(&v), sizeof v}); }
Bytes& Bytes::Raw(std::string_view v) {
  out_.append(v);
  return *this;
}
Bytes& Bytes::Text(std::string_view v) { return U64(v.size()).Raw(v); }

FileBuilder& FileBuilder::Pair(std::string_view key, uint32_t type, std::string_view value) {
  ++pairs_;
  metadata_.Text(key).U32(type).Raw(value);
  return *this;
}
FileBuilder& FileBuilder::Unsigned(std::string_view key, uint32_t value) {
  return Pair(key, static_cast<uint32_t>(ValueType::kU32), Bytes().U32(value).str());
}
FileBuilder& FileBuilder::Float(std::string_view key, float value) {
  return Pair(key, static_cast<uint32_t>(ValueType::kF32), Bytes().F32(value).str());
}
FileBuilder& FileBuilder::String(std::string_view key, std::string_view value) {
  return Pair(key, static_cast<uint32_t>(ValueType::kString), Bytes().Text(value).str());
}
FileBuilder& FileBuilder::Strings(std::string_view key, const std::vector<std::string>& values) {
  Bytes b;
  b.U32(static_cast<uint32_t>(ValueType::kString)).U64(values.size());
  for (const std::string& v : values) b.Text(v);
  return Pair(key, static_cast<uint32_t>(ValueType::kArray), b.str());
}
FileBuilder& FileBuilder::Add(Tensor tensor) {
  tensors_.push_back(std::move(tensor));
  return *this;
}

std::string FileBuilder::Build() const {
  const auto aligned = [](size_t n) { return (n + 31) / 32 * 32; };
  Bytes head;
  head.Raw("GGUF").U32(3).U64(tensors_.size()).U64(pairs_).Raw(metadata_.str());
  std::string data;
  for (const Tensor& t : tensors_) {
    head.Text(t.name).U32(static_cast<uint32_t>(t.dims.size()));
    for (const uint64_t d : t.dims) head.U64(d);
    head.U32(t.type).U64(data.size());
    data += t.data;
    data.resize(aligned(data.size()));
  }
  std::string out = head.str();
  out.resize(aligned(out.size()));
  return out + data;
}

}  // namespace tokenworks::gguf
