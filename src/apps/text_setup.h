// SPDX-License-Identifier: Apache-2.0
// A model file's tokenizer and chat template.
#pragma once

#include <memory>

#include "model_files/gguf.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "tokenworks/status.h"

namespace tokenworks::apps {

// InvalidArgument or Unimplemented names the metadata key.
StatusOr<std::unique_ptr<text::Tokenizer>> LoadTokenizer(const model_files::GgufFile& file);
// ChatML when the file has no template.
StatusOr<std::unique_ptr<text::ChatTemplate>> LoadChatTemplate(const model_files::GgufFile& file,
                                                               const text::Tokenizer& tokenizer);

}  // namespace tokenworks::apps
