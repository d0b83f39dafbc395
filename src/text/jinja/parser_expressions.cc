// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "text/jinja/parser.h"

namespace tokenworks::text::jinja {

NodePtr Parser::TupleOrExpression(bool conditional) {
  NodePtr first = conditional ? Expression() : Or();
  if (!IsOperator(",")) return first;
  auto node = Make(NodeKind::kTuple);
  Add(*node, std::move(first));
  while (TakeOperator(",")) {
    if (Is(TokenKind::kBlockEnd) || Is(TokenKind::kPrintEnd)) break;
    Add(*node, conditional ? Expression() : Or());
  }
  return node;
}

NodePtr Parser::Expression() {
  const Depth depth(*this);
  NodePtr value = Or();
  while (TakeName("if")) {
    auto node = Make(NodeKind::kConditional);
    Add(*node, Or());
    Add(*node, std::move(value));
    Add(*node, TakeName("else") ? Expression() : nullptr);
    value = std::move(node);
  }
  return value;
}

// The next token is the operator.
NodePtr Parser::Binary(NodePtr left, NodePtr (Parser::*right)()) {
  auto node = Make(NodeKind::kBinary, Next().text);
  Add(*node, std::move(left));
  Add(*node, (this->*right)());
  return node;
}

NodePtr Parser::Or() {
  NodePtr left = And();
  while (IsName("or")) left = Binary(std::move(left), &Parser::And);
  return left;
}

NodePtr Parser::And() {
  NodePtr left = Not();
  while (IsName("and")) left = Binary(std::move(left), &Parser::Not);
  return left;
}

NodePtr Parser::Not() {
  if (!TakeName("not")) return Comparison();
  const Depth depth(*this);
  auto node = Make(NodeKind::kUnary, "not");
  Add(*node, Not());
  return node;
}

// a < b < c compares neighbours, as in Python.
NodePtr Parser::Comparison() {
  NodePtr left = Sum();
  NodePtr chain;
  while (true) {
    std::string op;
    for (const char* symbol : {"==", "!=", "<=", ">=", "<", ">"})
      if (TakeOperator(symbol)) {
        op = symbol;
        break;
      }
    if (op.empty() && TakeName("in")) op = "in";
    if (op.empty() && IsName("not") && IsName("in", 1)) Next(), Next(), op = "not in";
    if (op.empty()) break;
    if (!chain) {
      chain = Make(NodeKind::kCompare);
      Add(*chain, std::move(left));
    }
    chain->operators.push_back(std::move(op));
    Add(*chain, Sum());
  }
  return chain ? std::move(chain) : std::move(left);
}

NodePtr Parser::Sum() {
  NodePtr left = Concatenation();
  while (IsOperator("+") || IsOperator("-")) left = Binary(std::move(left), &Parser::Concatenation);
  return left;
}

// One node for a whole chain of ~.
NodePtr Parser::Concatenation() {
  NodePtr first = Product();
  if (!IsOperator("~")) return first;
  auto node = Make(NodeKind::kBinary, "~");
  Add(*node, std::move(first));
  while (TakeOperator("~")) Add(*node, Product());
  return node;
}

NodePtr Parser::Product() {
  NodePtr left = Power();
  while (IsOperator("*") || IsOperator("/") || IsOperator("//") || IsOperator("%"))
    left = Binary(std::move(left), &Parser::Power);
  return left;
}

// Left to right, unlike Python's, and so is a sign: -2 ** 2 is 4.
NodePtr Parser::Power() {
  NodePtr left = Unary();
  while (IsOperator("**")) {
    auto node = Make(NodeKind::kBinary, Next().text);
    Add(*node, std::move(left));
    Add(*node, Unary());
    left = std::move(node);
  }
  return left;
}

NodePtr Parser::Unary(bool with_filters) {
  const Depth depth(*this);
  NodePtr node;
  if (IsOperator("-") || IsOperator("+")) {
    node = Make(NodeKind::kUnary, Next().text);
    Add(*node, Unary(false));
  } else {
    node = Primary();
  }
  node = Postfix(std::move(node));
  return with_filters ? FiltersAndTests(std::move(node)) : std::move(node);
}

NodePtr Parser::Primary() {
  auto node = Make(NodeKind::kConstant);
  switch (Peek().kind) {
    case TokenKind::kString: {
      std::string text;
      while (Is(TokenKind::kString)) text += Next().text;
      node->constant = Value(Text(text));
      return node;
    }
    case TokenKind::kInteger: {
      const std::string digits = Next().text;  // decimal
      int64_t i = 0;
      if (std::from_chars(digits.data(), digits.data() + digits.size(), i).ec != std::errc())
        throw UnsupportedFeature("the integer " + digits + " beyond 64 bits");
      node->constant = Value(i);
      return node;
    }
    case TokenKind::kFloat:
      node->constant = Value(std::strtod(Next().text.c_str(), nullptr));
      return node;
    case TokenKind::kName: {
      const std::string name = Next().text;
      if (name == "true" || name == "True")
        node->constant = Value(true);
      else if (name == "false" || name == "False")
        node->constant = Value(false);
      else if (name == "none" || name == "None")
        node->constant = Value(None{});
      else
        node->kind = NodeKind::kName, node->name = name;
      uses_varargs_ |= name == "varargs";
      uses_kwargs_ |= name == "kwargs";
      uses_caller_ |= name == "caller";
      return node;
    }
    case TokenKind::kOperator:
      return Bracketed();
    default:
      Fail("an expression is needed");
  }
}

NodePtr Parser::Bracketed() {
  if (TakeOperator("[")) return ListLiteral();
  if (TakeOperator("{")) return DictLiteral();
  if (!TakeOperator("(")) Fail("unexpected '" + Peek().text + "'");
  auto tuple = Make(NodeKind::kTuple);
  if (TakeOperator(")")) return tuple;
  NodePtr first = Expression();
  if (TakeOperator(")")) return first;
  Add(*tuple, std::move(first));
  while (!TakeOperator(")")) {
    Expect(",");
    if (!IsOperator(")")) Add(*tuple, Expression());
  }
  return tuple;
}

NodePtr Parser::ListLiteral() {
  auto node = Make(NodeKind::kList);
  while (!TakeOperator("]")) {
    Add(*node, Expression());
    if (!IsOperator("]")) Expect(",");
  }
  return node;
}

NodePtr Parser::DictLiteral() {
  auto node = Make(NodeKind::kDict);
  while (!TakeOperator("}")) {
    Add(*node, Expression());
    Expect(":");
    Add(*node, Expression());
    if (!IsOperator("}")) Expect(",");
  }
  return node;
}

}  // namespace tokenworks::text::jinja
