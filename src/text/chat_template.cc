// SPDX-License-Identifier: Apache-2.0
#include "text/chat_template.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "text/jinja/ast.h"
#include "text/jinja/evaluator.h"
#include "text/jinja/print.h"

namespace tokenworks::text {
namespace {

std::vector<Segment> ToSegments(const jinja::Text& text) {
  std::vector<Segment> out;
  for (size_t at = 0; at < text.bytes.size();) {
    const size_t end = std::min(text.user.find(text.user[at] ? '\0' : '\1', at), text.bytes.size());
    out.push_back({text.bytes.substr(at, end - at), text.user[at] == 0});
    at = end;
  }
  return out;
}

std::tm Now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  return parts;
}

}  // namespace

struct ParsedTemplate {
  jinja::Body body;
};

ChatTemplate::ChatTemplate() = default;
ChatTemplate::~ChatTemplate() = default;

StatusOr<std::unique_ptr<ChatTemplate>> ChatTemplate::Create(std::string_view source, std::string bos_token,
                                                             std::string eos_token) {
  std::unique_ptr<ChatTemplate> out(new ChatTemplate);
  out->parsed_ = std::make_unique<ParsedTemplate>();
  try {
    out->parsed_->body = jinja::Parse(source);
  } catch (const jinja::UnsupportedFeature& e) {
    return absl::UnimplementedError(e.what());
  } catch (const jinja::TemplateError& e) {
    return absl::InvalidArgumentError(std::string("parsing the chat template: ") + e.what());
  }
  out->bos_token_ = std::move(bos_token);
  out->eos_token_ = std::move(eos_token);
  return out;
}

StatusOr<std::vector<Segment>> ChatTemplate::Render(const nlohmann::ordered_json& messages,
                                                    const nlohmann::ordered_json& tools, bool add_generation_prompt,
                                                    const nlohmann::ordered_json& variables) const {
  try {
    jinja::Context context;
    context.emplace_back("messages", jinja::FromJson(messages));
    context.emplace_back("tools", jinja::FromJson(tools));
    context.emplace_back("documents", jinja::None{});
    context.emplace_back("add_generation_prompt", add_generation_prompt);
    if (!bos_token_.empty()) context.emplace_back("bos_token", jinja::Text(bos_token_));
    if (!eos_token_.empty()) context.emplace_back("eos_token", jinja::Text(eos_token_));
    if (variables.is_object())
      for (const auto& [key, value] : variables.items()) context.emplace_back(key, jinja::FromJson(value));
    return ToSegments(jinja::Evaluate(parsed_->body, context, Now()));
  } catch (const jinja::UnsupportedFeature& e) {
    return absl::UnimplementedError(e.what());
  } catch (const jinja::TemplateError& e) {
    return absl::InvalidArgumentError(e.what());
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(std::string("rendering the chat template: ") + e.what());
  }
}

}  // namespace tokenworks::text
