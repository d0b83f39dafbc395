// SPDX-License-Identifier: Apache-2.0
// What follows an operand: attributes, subscripts, calls, filters and tests.
#include "text/jinja/parser.h"

namespace tokenworks::text::jinja {

void Parser::CallArguments(Node& node) {
  while (!TakeOperator(")")) {
    if (TakeOperator("*")) {
      node.extra_positional = Expression();
    } else if (TakeOperator("**")) {
      node.extra_named = Expression();
    } else if (Is(TokenKind::kName) && IsOperator("=", 1)) {
      std::string name = Next().text;
      Next();
      AddNamed(node, std::move(name), Expression());
    } else {
      if (!node.named.empty() || node.extra_named) Fail("a positional argument after a named one");
      Add(node, Expression());
    }
    if (!IsOperator(")")) Expect(",");
  }
}

NodePtr Parser::Postfix(NodePtr value) {
  while (true) {
    if (TakeOperator(".")) {
      auto node = Make(NodeKind::kAttribute);
      if (Is(TokenKind::kInteger)) {
        node->kind = NodeKind::kIndex;
        Add(*node, std::move(value));
        Add(*node, Primary());
      } else {
        node->name = Identifier();
        Add(*node, std::move(value));
      }
      value = std::move(node);
    } else if (TakeOperator("[")) {
      value = Subscript(std::move(value));
    } else if (TakeOperator("(")) {
      auto node = Make(NodeKind::kCall);
      Add(*node, std::move(value));
      CallArguments(*node);
      value = std::move(node);
    } else {
      return value;
    }
  }
}

NodePtr Parser::Subscript(NodePtr value) {
  NodePtr parts[3];
  int count = 0;
  bool slice = false;
  while (!IsOperator("]")) {
    if (TakeOperator(":")) {
      slice = true;
      if (++count > 2) Fail("a slice has at most three parts");
    } else {
      if (parts[count]) Fail("expected ']', found '" + Peek().text + "'");
      parts[count] = Expression();
    }
  }
  Expect("]");
  if (!slice && !parts[0]) Fail("an index is needed");
  auto node = Make(slice ? NodeKind::kSlice : NodeKind::kIndex);
  Add(*node, std::move(value));
  for (int i = 0; i < (slice ? 3 : 1); ++i) Add(*node, std::move(parts[i]));
  return node;
}

// The next token is the filter's name.
NodePtr Parser::Filter(NodePtr value) {
  auto node = Make(NodeKind::kFilter, Identifier());
  Add(*node, std::move(value));
  if (TakeOperator("(")) CallArguments(*node);
  return node;
}

// The next token is the test's name, or `not`.
NodePtr Parser::Test(NodePtr value) {
  auto node = Make(NodeKind::kTest);
  node->negated = TakeName("not");
  node->name = Identifier();
  Add(*node, std::move(value));
  if (TakeOperator("(")) {
    CallArguments(*node);
    return node;
  }
  const auto stops = [&] {
    for (const char* word : {"else", "or", "and", "if", "not", "in", "is"})
      if (IsName(word)) return true;
    return false;
  };
  if (Is(TokenKind::kString) || Is(TokenKind::kInteger) || Is(TokenKind::kFloat) ||
      (Is(TokenKind::kName) && !stops()) || IsOperator("[") || IsOperator("{"))
    Add(*node, Postfix(Primary()));
  return node;
}

// value | filter(args) … is test
NodePtr Parser::FiltersAndTests(NodePtr value) {
  while (true) {
    if (TakeOperator("|"))
      value = Filter(std::move(value));
    else if (TakeName("is"))
      value = Test(std::move(value));
    else if (IsOperator("("))
      value = Postfix(std::move(value));
    else
      return value;
  }
}

}  // namespace tokenworks::text::jinja
