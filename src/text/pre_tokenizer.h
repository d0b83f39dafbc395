// SPDX-License-Identifier: Apache-2.0
// Cuts text into the pieces inside which byte-level BPE merges.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "tokenworks/status.h"

namespace tokenworks::text {

// Immutable; safe from any thread. Patterns by the name that the model file gives (`tokenizer.ggml.pre`).
class PreTokenizer {
 public:
  // Unimplemented for a name that is not in the table.
  static StatusOr<std::unique_ptr<PreTokenizer>> Create(std::string_view name);
  ~PreTokenizer();

  // Calls piece(part) for each part of valid UTF-8 text, in order; together the parts are the text.
  void Split(std::string_view text, const std::function<void(std::string_view)>& piece) const;

 private:
  PreTokenizer() = default;
  struct Stage;
  void Run(size_t stage, std::string_view text, const std::function<void(std::string_view)>& piece) const;
  std::vector<std::unique_ptr<Stage>> stages_;  // each stage cuts the parts of the one before
};

}  // namespace tokenworks::text
