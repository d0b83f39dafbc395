// SPDX-License-Identifier: Apache-2.0
// A model small enough to be made anew in each test: llama architecture, two layers, 64 wide, random weights.
#pragma once

#include <cstdint>
#include <string>

#include "tests/gguf/gguf_writer.h"

namespace tokenworks::gguf {

inline constexpr int kTinyVocabulary = 300;
inline constexpr int kTinyContext = 1024;

// Metadata and tensors of the model; equal seeds give equal bytes. Heads of 64 are what the GPU's kernels have.
FileBuilder TinyModel(uint32_t seed, int head_dim = 16);

// A file in the test's temporary folder, removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tokenworks::gguf
