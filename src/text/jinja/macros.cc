// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "text/jinja/interpreter.h"
#include "text/jinja/iterate.h"
#include "text/jinja/print.h"

namespace tokenworks::text::jinja {

void Interpreter::Capture() {
  for (ScopePtr scope = scope_; scope && !scope->captured; scope = scope->parent) {
    runtime_.Work(kElementWork * 4);
    scope->captured = true;
    captured_.push_back(scope);
  }
}

// A macro sees the variables around its definition, as they are when it is called.
Value Interpreter::Macro(const Node& node, bool is_caller) {
  Capture();
  return Function(
      [this, &node, is_caller, outside = std::weak_ptr<Scope>(scope_)](Runtime&, const Arguments& arguments) -> Value {
        const ScopePtr parent = outside.lock();
        if (!parent) throw TemplateError("a macro is called after its scope ended");
        const Recursion recursion(*this, node);
        const Entered scope(*this, parent);
        BindParameters(node, arguments, is_caller);
        Text text;
        Run(node.body, &text);
        return text;
      });
}

void Interpreter::BindParameters(const Node& node, const Arguments& arguments, bool is_caller) {
  const std::string name = is_caller ? "caller" : node.name;
  if (arguments.positional.size() > node.named.size() && !node.uses_varargs)
    throw TemplateError("macro '" + name + "' takes not more than " + std::to_string(node.named.size()) +
                        " argument(s)");
  auto& variables = scope_->variables;
  for (size_t i = 0; i < node.named.size(); ++i) {
    const auto& [parameter, fallback] = node.named[i];
    const Value* given = arguments.Get(i, parameter);
    Value value = given      ? *given
                  : fallback ? Eval(*fallback)
                             : Value(Undefined("parameter '" + parameter + "' was not provided"));
    variables[parameter] = std::move(value);
  }
  Dict rest;
  bool caller_given = false;
  for (const auto& [key, value] : arguments.named) {
    if (key == "caller") {
      caller_given = true;
      if (!node.uses_caller) throw TemplateError("macro '" + name + "' does not use the block that it is called with");
      variables["caller"] = value;
    } else if (std::none_of(node.named.begin(), node.named.end(),
                            [&wanted = key](const auto& p) { return p.first == wanted; })) {
      if (!node.uses_kwargs) throw TemplateError("macro '" + name + "' takes no keyword argument '" + key + "'");
      rest.emplace_back(Text(key), value);
    }
  }
  if (node.uses_caller && !caller_given) variables["caller"] = Value(Undefined("no caller is defined"));
  if (node.uses_kwargs) variables["kwargs"] = Value(std::move(rest));
  if (!node.uses_varargs) return;
  const size_t taken = std::min(node.named.size(), arguments.positional.size());
  variables["varargs"] =
      Tuple(List(arguments.positional.begin() + static_cast<std::ptrdiff_t>(taken), arguments.positional.end()));
}

void Interpreter::CallBlock(const Node& node, Text* out) {
  const Value caller = Macro(node, true);
  Append(ToText(runtime_, Call(*node.children[0], &caller)), out);
}

}  // namespace tokenworks::text::jinja
