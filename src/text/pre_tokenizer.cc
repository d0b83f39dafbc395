// SPDX-License-Identifier: Apache-2.0
#include "text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

#include "platform/base/str_cat.h"

namespace tokenworks::text {
namespace {

constexpr const char* kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kDigit = R"(\p{N})";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Named {
  std::string_view name;
  std::vector<const char*> patterns;
};

const std::vector<Named>& Table() {
  static const std::vector<Named> kTable = {
      {"smollm", {kDigit, kGpt2}}, {"gpt-2", {kGpt2}},    {"default", {kGpt2}},
      {"llama-bpe", {kLlama3}},    {"llama3", {kLlama3}}, {"qwen2", {kQwen2}},
  };
  return kTable;
}

}  // namespace

struct PreTokenizer::Stage {
  pcre2_code* code = nullptr;
  ~Stage() { pcre2_code_free(code); }
};

PreTokenizer::~PreTokenizer() = default;

StatusOr<std::unique_ptr<PreTokenizer>> PreTokenizer::Create(std::string_view name) {
  for (const Named& entry : Table()) {
    if (entry.name != name) continue;
    std::unique_ptr<PreTokenizer> out(new PreTokenizer);
    for (const char* pattern : entry.patterns) {
      int error = 0;
      PCRE2_SIZE at = 0;
      auto stage = std::make_unique<Stage>();
      stage->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                  &error, &at, nullptr);
      if (stage->code == nullptr)
        return absl::InternalError(base::StrCat("compiling the pre-tokeniser pattern of ", name, " failed at ", at));
      pcre2_jit_compile(stage->code, PCRE2_JIT_COMPLETE);
      out->stages_.push_back(std::move(stage));
    }
    return out;
  }
  return absl::UnimplementedError(base::StrCat("the pre-tokeniser '", name, "' is not supported"));
}

void PreTokenizer::Run(size_t stage, std::string_view text, const std::function<void(std::string_view)>& piece) const {
  if (stage == stages_.size()) return piece(text);
  const pcre2_code* code = stages_[stage]->code;
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t at = 0;
  while (at < text.size()) {
    const int found = pcre2_match(code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, match, nullptr);
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match);
    if (found < 0 || range[1] == range[0]) break;
    if (range[0] > at) Run(stage + 1, text.substr(at, range[0] - at), piece);
    Run(stage + 1, text.substr(range[0], range[1] - range[0]), piece);
    at = range[1];
  }
  if (at < text.size()) Run(stage + 1, text.substr(at), piece);
  pcre2_match_data_free(match);
}

void PreTokenizer::Split(std::string_view text, const std::function<void(std::string_view)>& piece) const {
  Run(0, text, piece);
}

}  // namespace tokenworks::text
