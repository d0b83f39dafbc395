// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/runtime.h"

namespace tokenworks::text::jinja {

Runtime::~Runtime() {
  for (const Value& ns : namespaces_) ns.mapping().entries.clear();
}

Value Runtime::Namespace(Dict entries) {
  for (const auto& [key, value] : entries)
    if (key.is_text() && key.bytes().starts_with('_'))
      throw TemplateError("a namespace cannot hold '" + key.bytes() +
                          "': names with an underscore in front are kept from templates");
  Work(kElementWork * (entries.size() + 4));
  namespaces_.emplace_back(std::move(entries), MappingKind::kNamespace);
  return namespaces_.back();
}

}  // namespace tokenworks::text::jinja
