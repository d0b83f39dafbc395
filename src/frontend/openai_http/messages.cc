// SPDX-License-Identifier: Apache-2.0
#include "frontend/openai_http/completion_request.h"
#include "frontend/openai_http/fields.h"
#include "platform/base/str_cat.h"

namespace tokenworks::openai_http {
namespace {

bool JoinParts(const Json& parts, const std::string& where, std::string* text, ApiError* error) {
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string param = base::StrCat(where, "[", i, "]");
    const Json type = parts[i].is_object() ? parts[i].value("type", Json()) : Json();
    if (!type.is_string())
      return *error = {400, base::StrCat("`", param, "` must be an object with a `type`."), param}, false;
    if (type != "text" && type != "input_text" && type != "refusal") {
      *error = {400,
                base::StrCat("`", param, "` is of type \"", type.get<std::string>().substr(0, 64),
                             "\", but this model reads text only."),
                param};
      return false;
    }
    const Json body = parts[i].value(type == "refusal" ? "refusal" : "text", Json());
    if (!body.is_string()) return *error = {400, base::StrCat("`", param, ".text` must be a string."), param}, false;
    *text += body.get_ref<const std::string&>();
  }
  return true;
}

bool ParseContent(Json& message, const std::string& where, ApiError* error) {
  Json content = message.value("content", Json());
  const std::string param = where + ".content";
  if (content.is_null()) {
    const Json calls = message.value("tool_calls", Json());
    if (message["role"] == "assistant" && calls.is_array() && !calls.empty()) {
      message["content"] = "";  // templates join it with text
      return true;
    }
    return *error = {400,
                     base::StrCat("`", param, "` must be a string or an array of text parts; it is missing or null."),
                     param},
           false;
  }
  if (content.is_string()) return true;
  if (!content.is_array())
    return *error = {400,
                     base::StrCat("`", param, "` must be a string or an array of text parts; it is ", KindOf(content),
                                  "."),
                     param},
           false;
  std::string text;
  if (!JoinParts(content, param, &text, error)) return false;
  message["content"] = std::move(text);
  return true;
}

}  // namespace

bool ParseMessages(Json& messages, Json* out, ApiError* error) {
  if (!messages.is_array() || messages.empty() || messages.size() > kMaxMessages)
    return *error = {400, base::StrCat("`messages` must be an array of 1 to ", kMaxMessages, " messages."), "messages"},
           false;
  for (size_t i = 0; i < messages.size(); ++i) {
    Json& message = messages[i];
    const std::string where = base::StrCat("messages[", i, "]");
    const Json role = message.is_object() ? message.value("role", Json()) : Json();
    bool known = false;
    for (const char* name : {"system", "developer", "user", "assistant", "tool"}) known |= role == name;
    if (!known)
      return *error = {400, base::StrCat("`", where, ".role` must be system, developer, user, assistant or tool."),
                       where + ".role"},
             false;
    if (!ParseContent(message, where, error)) return false;
    if (role == "developer") message["role"] = "system";
  }
  *out = std::move(messages);
  return true;
}

}  // namespace tokenworks::openai_http
