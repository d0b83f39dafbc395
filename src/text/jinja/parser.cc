// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/parser.h"

namespace tokenworks::text::jinja {

Body Parser::Template() {
  Body body = Statements({});
  if (!Is(TokenKind::kEnd)) Fail("unexpected end tag");
  return body;
}

void Parser::Expect(std::string_view op) {
  if (!TakeOperator(op)) Fail("expected '" + std::string(op) + "', found '" + Peek().text + "'");
}

void Parser::ExpectName(std::string_view name) {
  if (!TakeName(name)) Fail("expected '" + std::string(name) + "', found '" + Peek().text + "'");
}

std::string Parser::Identifier() {
  if (!Is(TokenKind::kName)) Fail("a name is needed, found '" + Peek().text + "'");
  return Next().text;
}

NodePtr Parser::Make(NodeKind kind, std::string name) const {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  node->line = Peek().line;
  node->name = std::move(name);
  return node;
}

void Parser::Add(Node& parent, NodePtr child) {
  if (child) parent.height = std::max(parent.height, child->height + 1);
  parent.children.push_back(std::move(child));
  if (parent.height > kMaxHeight) Fail("an expression is too long");
}

void Parser::AddNamed(Node& parent, std::string name, NodePtr child) {
  if (child) parent.height = std::max(parent.height, child->height + 1);
  parent.named.emplace_back(std::move(name), std::move(child));
}

void Parser::EndBlock() {
  if (!Is(TokenKind::kBlockEnd)) Fail("unexpected '" + Peek().text + "' in a block tag");
  Next();
}

Body Parser::Statements(const std::vector<std::string>& ends) {
  const Depth depth(*this);
  Body body;
  while (!Is(TokenKind::kEnd)) {
    if (Is(TokenKind::kData)) {
      auto node = Make(NodeKind::kData);
      node->constant = Value(Text(Next().text));
      body.push_back(std::move(node));
    } else if (Is(TokenKind::kPrintBegin)) {
      Next();
      auto node = Make(NodeKind::kPrint);
      Add(*node, TupleOrExpression());
      if (!Is(TokenKind::kPrintEnd)) Fail("unexpected '" + Peek().text + "' in an expression");
      Next();
      body.push_back(std::move(node));
    } else {
      for (const std::string& end : ends)
        if (IsName(end, 1)) return body;
      Next();
      body.push_back(Statement());
    }
  }
  if (!ends.empty()) Fail("the template ends before '" + ends.back() + "'");
  return body;
}

Body Parser::StatementsTo(const std::string& end) {
  EndBlock();
  Body body = Statements({end});
  Next();  // kBlockBegin
  Next();  // the name
  if (end == "endblock" && Is(TokenKind::kName)) Next();
  EndBlock();
  return body;
}

NodePtr Parser::Statement() {
  const std::string tag = Identifier();
  if (tag == "if") return If();
  if (tag == "for") return For();
  if (tag == "set") return Set();
  if (tag == "with") return With();
  if (tag == "macro") return Macro();
  if (tag == "call") return CallBlock();
  if (tag == "filter") return FilterBlock();
  if (tag == "generation" || tag == "block") return Block(tag);
  if (tag == "break" || tag == "continue") {
    if (loops_ == 0) Fail("'" + tag + "' outside of a loop");
    EndBlock();
    return Make(tag == "break" ? NodeKind::kBreak : NodeKind::kContinue);
  }
  for (const char* known : {"include", "import", "from", "extends", "autoescape", "do", "trans", "debug"})
    if (tag == known) throw UnsupportedFeature("the tag '" + tag + "' (line " + std::to_string(Peek().line) + ")");
  Fail("unknown tag '" + tag + "'");
}

NodePtr Parser::If() {
  auto node = Make(NodeKind::kIf);
  do {
    Add(*node, TupleOrExpression(false));
    EndBlock();
    node->arms.push_back(Statements({"elif", "else", "endif"}));
    Next();
  } while (TakeName("elif"));
  if (TakeName("else")) {
    EndBlock();
    node->otherwise = Statements({"endif"});
    Next();
  }
  ExpectName("endif");
  EndBlock();
  return node;
}

// One name, or brackets with more targets.
NodePtr Parser::TargetItem(bool with_attribute) {
  const Depth depth(*this);
  if (TakeOperator("(")) {
    NodePtr inner = Target(false);
    Expect(")");
    return inner;
  }
  auto node = Make(NodeKind::kName, Identifier());
  for (const char* reserved : {"true", "false", "none", "True", "False", "None"})
    if (node->name == reserved) Fail("cannot assign to '" + node->name + "'");
  if (!with_attribute || !TakeOperator(".")) return node;
  auto attribute = Make(NodeKind::kAttribute, Identifier());
  Add(*attribute, std::move(node));
  return attribute;
}

NodePtr Parser::Target(bool with_attribute) {
  NodePtr first = TargetItem(with_attribute);
  if (!IsOperator(",")) return first;
  auto tuple = Make(NodeKind::kTuple);
  Add(*tuple, std::move(first));
  while (TakeOperator(",") && !IsOperator("=") && !IsOperator(")")) Add(*tuple, TargetItem(with_attribute));
  return tuple;
}

NodePtr Parser::For() {
  auto node = Make(NodeKind::kFor);
  Add(*node, Target(false));
  ExpectName("in");
  Add(*node, TupleOrExpression(false));
  Add(*node, TakeName("if") ? Expression() : nullptr);
  node->recursive = TakeName("recursive");
  EndBlock();
  ++loops_;
  node->body = Statements({"else", "endfor"});
  --loops_;
  Next();
  if (TakeName("else")) {
    EndBlock();
    node->otherwise = Statements({"endfor"});
    Next();
  }
  ExpectName("endfor");
  EndBlock();
  return node;
}

NodePtr Parser::Set() {
  auto node = Make(NodeKind::kSet);
  Add(*node, Target(true));
  if (TakeOperator("=")) {
    Add(*node, TupleOrExpression());
    EndBlock();
    return node;
  }
  node->kind = NodeKind::kSetBlock;
  NodePtr filters = Make(NodeKind::kConstant);
  while (TakeOperator("|")) filters = Filter(std::move(filters));
  Add(*node, std::move(filters));
  node->body = StatementsTo("endset");
  return node;
}

NodePtr Parser::With() {
  auto node = Make(NodeKind::kWith);
  while (!Is(TokenKind::kBlockEnd)) {
    Add(*node, TargetItem(false));
    Expect("=");
    Add(*node, Expression());
    if (!Is(TokenKind::kBlockEnd)) Expect(",");
  }
  node->body = StatementsTo("endwith");
  return node;
}

void Parser::Parameters(Node& node) {
  while (!TakeOperator(")")) {
    std::string name = Identifier();
    AddNamed(node, std::move(name), TakeOperator("=") ? Expression() : nullptr);
    if (!IsOperator(")")) Expect(",");
  }
}

NodePtr Parser::Macro() {
  const bool varargs = std::exchange(uses_varargs_, false), kwargs = std::exchange(uses_kwargs_, false),
             caller = std::exchange(uses_caller_, false);
  const int loops = std::exchange(loops_, 0);
  auto node = Make(NodeKind::kMacro, Identifier());
  Expect("(");
  Parameters(*node);
  node->body = StatementsTo("endmacro");
  node->uses_varargs = std::exchange(uses_varargs_, varargs);
  node->uses_kwargs = std::exchange(uses_kwargs_, kwargs);
  node->uses_caller = std::exchange(uses_caller_, caller);
  loops_ = loops;
  return node;
}

NodePtr Parser::CallBlock() {
  auto node = Make(NodeKind::kCallBlock);
  if (TakeOperator("(")) Parameters(*node);
  Add(*node, Expression());
  if (node->children[0]->kind != NodeKind::kCall) Fail("call needs a call");
  const int loops = std::exchange(loops_, 0);
  node->body = StatementsTo("endcall");
  loops_ = loops;
  return node;
}

NodePtr Parser::FilterBlock() {
  auto node = Make(NodeKind::kFilterBlock);
  NodePtr filters = Filter(Make(NodeKind::kConstant));
  while (TakeOperator("|")) filters = Filter(std::move(filters));
  Add(*node, std::move(filters));
  node->body = StatementsTo("endfilter");
  return node;
}

NodePtr Parser::Block(const std::string& tag) {
  auto node = Make(NodeKind::kScope);
  if (tag == "block") {
    Identifier();
    while (TakeName("scoped") || TakeName("required")) continue;
  }
  const int loops = std::exchange(loops_, 0);
  node->body = StatementsTo("end" + tag);
  loops_ = loops;
  return node;
}

Body Parse(std::string_view source) { return Parser(source).Template(); }

}  // namespace tokenworks::text::jinja
