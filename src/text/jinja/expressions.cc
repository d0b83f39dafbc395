// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/filters.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/iterate.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/subscript.h"
#include "text/jinja/tests.h"

namespace tokenworks::text::jinja {

Value Interpreter::Eval(const Node& node) {
  const Recursion recursion(*this, node);
  switch (node.kind) {
    case NodeKind::kConstant:
      return node.constant;
    case NodeKind::kName:
      return Lookup(node.name);
    case NodeKind::kList:
      return Value(EvalAll(node.children));
    case NodeKind::kTuple:
      return Tuple(EvalAll(node.children));
    case NodeKind::kDict:
      return Dictionary(node);
    case NodeKind::kAttribute:
      return Attribute(runtime_, Eval(*node.children[0]), node.name);
    case NodeKind::kIndex: {
      const Value v = Eval(*node.children[0]);
      return Subscript(runtime_, v, Eval(*node.children[1]));
    }
    case NodeKind::kSlice: {
      const Value v = Eval(*node.children[0]), start = EvalIfAny(node.children[1]), stop = EvalIfAny(node.children[2]);
      return Slice(runtime_, v, start, stop, EvalIfAny(node.children[3]));
    }
    case NodeKind::kCall:
      return Call(node, nullptr);
    case NodeKind::kFilter:
      return Filter(node, nullptr);
    case NodeKind::kTest: {
      const Value v = Eval(*node.children[0]);
      return ApplyTest(runtime_, node.name, v, CallArguments(node)) != node.negated;
    }
    case NodeKind::kUnary: {
      const Value v = Eval(*node.children[0]);
      return node.name == "not" ? Value(!v.truthy()) : SignOperator(node.name, v);
    }
    case NodeKind::kBinary:
      return Binary(node);
    case NodeKind::kCompare:
      return Comparison(node);
    case NodeKind::kConditional:
      if (Eval(*node.children[0]).truthy()) return Eval(*node.children[1]);
      return node.children[2]
                 ? Eval(*node.children[2])
                 : Value(Undefined("line " + std::to_string(node.line) + ": an inline if is false and has no else"));
    default:
      throw TemplateError("line " + std::to_string(node.line) + ": not an expression");
  }
}

List Interpreter::EvalAll(const Body& nodes) {
  List out;
  runtime_.Work(nodes.size() * kElementWork);
  for (const NodePtr& node : nodes) out.push_back(Eval(*node));
  return out;
}

Value Interpreter::Dictionary(const Node& node) {
  Value out{Dict{}};
  runtime_.Work(node.children.size() * node.children.size() + kElementWork * node.children.size());
  for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const Value key = Eval(*node.children[i]);
    out.Set(key, Eval(*node.children[i + 1]));
  }
  return out;
}

Arguments Interpreter::CallArguments(const Node& node) {
  Arguments a;
  for (size_t i = 1; i < node.children.size(); ++i) a.positional.push_back(Eval(*node.children[i]));
  for (const auto& [name, value] : node.named) a.named.emplace_back(name, Eval(*value));
  if (node.extra_positional)
    for (const Value& v : Iterate(runtime_, Eval(*node.extra_positional))) a.positional.push_back(v);
  if (node.extra_named) {
    const Value extra = Eval(*node.extra_named);
    for (const auto& [key, v] : extra.dict()) a.named.emplace_back(key.bytes(), v);
  }
  return a;
}

Value Interpreter::Call(const Node& node, const Value* caller) {
  const Value callee = Eval(*node.children[0]);
  Arguments arguments = CallArguments(node);
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  return callee.function()(runtime_, arguments);
}

// `input` stands for the constant at the start of the filters of a block.
Value Interpreter::Filter(const Node& node, const Value* input) {
  const Node& operand = *node.children[0];
  const Value v = input == nullptr                    ? Eval(operand)
                  : operand.kind == NodeKind::kFilter ? Filter(operand, input)
                                                      : *input;
  return ApplyFilter(runtime_, node.name, v, CallArguments(node));
}

Value Interpreter::Binary(const Node& node) {
  const Value a = Eval(*node.children[0]);
  if (node.name == "and") return a.truthy() ? Eval(*node.children[1]) : a;
  if (node.name == "or") return a.truthy() ? a : Eval(*node.children[1]);
  if (node.name != "~") return BinaryOperator(runtime_, node.name, a, Eval(*node.children[1]));
  TextBuilder out(runtime_);
  out += ToText(runtime_, a);
  for (size_t i = 1; i < node.children.size(); ++i) out += ToText(runtime_, Eval(*node.children[i]));
  return out.Take();
}

Value Interpreter::Comparison(const Node& node) {
  Value left = Eval(*node.children[0]);
  for (size_t i = 0; i < node.operators.size(); ++i) {
    Value right = Eval(*node.children[i + 1]);
    if (!CompareOperator(runtime_, node.operators[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

}  // namespace tokenworks::text::jinja
