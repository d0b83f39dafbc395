// SPDX-License-Identifier: Apache-2.0
#include "apps/text_setup.h"

namespace tokenworks::apps {
namespace {

constexpr int64_t kControlToken = 3, kUserDefinedToken = 4;
constexpr const char* kChatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

}  // namespace

StatusOr<std::unique_ptr<text::Tokenizer>> LoadTokenizer(const model_files::GgufFile& file) {
  TW_ASSIGN_OR_RETURN(const std::string model, file.String("tokenizer.ggml.model"));
  if (model != "gpt2")
    return absl::UnimplementedError(file.path() + ": tokenizer.ggml.model is '" + model +
                                    "'; supported is gpt2 (byte-level BPE)");
  text::TokenizerData data;
  TW_ASSIGN_OR_RETURN(data.tokens, file.Strings("tokenizer.ggml.tokens"));
  TW_ASSIGN_OR_RETURN(data.merges, file.Strings("tokenizer.ggml.merges"));
  TW_ASSIGN_OR_RETURN(const std::vector<int64_t> types, file.Integers("tokenizer.ggml.token_type"));
  for (const int64_t type : types) data.special.push_back(type == kControlToken || type == kUserDefinedToken);
  data.pre_tokenizer = file.String("tokenizer.ggml.pre").value_or("default");
  if (const auto id = file.Unsigned("tokenizer.ggml.bos_token_id"); id.ok()) data.bos = static_cast<TokenId>(*id);
  if (const auto id = file.Unsigned("tokenizer.ggml.eos_token_id"); id.ok()) data.eos = static_cast<TokenId>(*id);
  data.add_bos = file.Bool("tokenizer.ggml.add_bos_token").value_or(false);
  return text::Tokenizer::Create(std::move(data));
}

StatusOr<std::unique_ptr<text::ChatTemplate>> LoadChatTemplate(const model_files::GgufFile& file,
                                                               const text::Tokenizer& tokenizer) {
  const std::string source = file.String("tokenizer.chat_template").value_or(kChatMl);
  return text::ChatTemplate::Create(source, std::string(tokenizer.TokenBytes(tokenizer.bos())),
                                    std::string(tokenizer.TokenBytes(tokenizer.eos())));
}

}  // namespace tokenworks::apps
