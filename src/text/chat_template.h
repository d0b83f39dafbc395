// SPDX-License-Identifier: Apache-2.0
// A model's chat template: conversation in, prompt segments out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "text/tokenizer.h"
#include "tokenworks/status.h"

namespace tokenworks::text {

struct ParsedTemplate;

// Immutable; safe from any thread.
class ChatTemplate {
 public:
  // InvalidArgument with the line for a template that does not parse.
  static StatusOr<std::unique_ptr<ChatTemplate>> Create(std::string_view source, std::string bos_token,
                                                        std::string eos_token);
  ~ChatTemplate();

  // `messages`: an array of objects; `tools`: an array or null; `variables`: further template variables or null.
  // Text that stems from them is untrusted. InvalidArgument carries the template's own refusal (raise_exception) or
  // what went wrong.
  StatusOr<std::vector<Segment>> Render(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                                        bool add_generation_prompt, const nlohmann::ordered_json& variables) const;

 private:
  ChatTemplate();
  std::unique_ptr<ParsedTemplate> parsed_;
  std::string bos_token_, eos_token_;
};

}  // namespace tokenworks::text
