// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/evaluator.h"

#include "text/jinja/globals.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/iterate.h"
#include "text/jinja/print.h"

namespace tokenworks::text::jinja {

Interpreter::Interpreter(const Context& context, const std::tm& now)
    : runtime_(now), scope_(std::make_shared<Scope>()) {
  for (const auto& [key, value] : context) scope_->variables[key] = value;
}

Interpreter::~Interpreter() {
  for (const ScopePtr& scope : captured_) scope->variables.clear();
}

Interpreter::Flow Interpreter::Run(const Body& body, Text* out) {
  for (const NodePtr& node : body) {
    const Recursion recursion(*this, *node);
    const Flow flow = Statement(*node, out);
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

void Interpreter::Append(const Text& text, Text* out) {
  runtime_.Work(text.bytes.size());
  if (out->bytes.size() + text.bytes.size() > kMaxOutputBytes) throw TemplateError("the rendered text is too large");
  *out += text;
}

Text Interpreter::Rendered(const Body& body) {
  const Entered scope(*this, scope_);
  Text text;
  Run(body, &text);
  return text;
}

Interpreter::Flow Interpreter::Statement(const Node& node, Text* out) {
  switch (node.kind) {
    case NodeKind::kData:
      Append(node.constant.text(), out);
      break;
    case NodeKind::kPrint:
      Append(ToText(runtime_, Eval(*node.children[0])), out);
      break;
    case NodeKind::kIf:
      for (size_t i = 0; i < node.arms.size(); ++i)
        if (Eval(*node.children[i]).truthy()) return Run(node.arms[i], out);
      return Run(node.otherwise, out);
    case NodeKind::kFor:
      For(node, Eval(*node.children[1]), 1, out);
      break;
    case NodeKind::kSet:
      Assign(*node.children[0], Eval(*node.children[1]));
      break;
    case NodeKind::kSetBlock: {
      const Value text(Rendered(node.body));
      Assign(*node.children[0], node.children[1]->kind == NodeKind::kFilter ? Filter(*node.children[1], &text) : text);
      break;
    }
    case NodeKind::kMacro: {
      Value macro = Macro(node, false);
      scope_->variables[node.name] = std::move(macro);
      break;
    }
    case NodeKind::kCallBlock:
      CallBlock(node, out);
      break;
    case NodeKind::kFilterBlock: {
      const Value text(Rendered(node.body));
      Append(ToText(runtime_, Filter(*node.children[0], &text)), out);
      break;
    }
    case NodeKind::kScope: {
      const Entered scope(*this, scope_);
      Run(node.body, out);
      break;
    }
    case NodeKind::kWith:
      With(node, out);
      break;
    case NodeKind::kBreak:
      return Flow::kBreak;
    case NodeKind::kContinue:
      return Flow::kContinue;
    default:
      throw TemplateError("line " + std::to_string(node.line) + ": not a statement");
  }
  return Flow::kNormal;
}

// The values are those outside of the block.
void Interpreter::With(const Node& node, Text* out) {
  List values;
  for (size_t i = 1; i < node.children.size(); i += 2) values.push_back(Eval(*node.children[i]));
  const Entered scope(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) Assign(*node.children[2 * i], values[i]);
  Run(node.body, out);
}

void Interpreter::Assign(const Node& target, const Value& value) {
  if (target.kind == NodeKind::kName) {
    scope_->variables[target.name] = value;
    return;
  }
  if (target.kind == NodeKind::kAttribute) {
    const Value ns = Eval(*target.children[0]);
    if (!ns.is_mapping() || ns.mapping().kind != MappingKind::kNamespace)
      throw TemplateError("line " + std::to_string(target.line) +
                          ": an attribute of what is no namespace cannot be set");
    if (target.name.starts_with('_'))
      throw TemplateError("a namespace cannot hold '" + target.name +
                          "': names with an underscore in front are kept from templates");
    runtime_.Work(ns.dict().size());
    return ns.Set(Text(target.name), value);
  }
  const List items = Iterate(runtime_, value);
  if (items.size() != target.children.size() || value.is_undefined())
    throw TemplateError("line " + std::to_string(target.line) + ": cannot unpack " + std::to_string(items.size()) +
                        " values into " + std::to_string(target.children.size()) + " names");
  for (size_t i = 0; i < items.size(); ++i) Assign(*target.children[i], items[i]);
}

Value Interpreter::Lookup(const std::string& name) const {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get())
    if (const auto it = scope->variables.find(name); it != scope->variables.end()) return it->second;
  return Global(name);
}

Text Evaluate(const Body& body, const Context& context, const std::tm& now) {
  Interpreter interpreter(context, now);
  Text out;
  interpreter.Run(body, &out);
  return out;
}

}  // namespace tokenworks::text::jinja
