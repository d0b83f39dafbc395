// SPDX-License-Identifier: Apache-2.0
// Recursive descent over tokens: statements in parser.cc, expressions in parser_expressions.cc and parser_postfix.cc.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace tokenworks::text::jinja {

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(Lex(source)) {}
  Body Template();

 private:
  static constexpr int kMaxDepth = 150;   // rules inside each other
  static constexpr int kMaxHeight = 150;  // of a tree of expressions
  struct Depth {
    explicit Depth(Parser& p) : parser(p) {
      if (++parser.depth_ > kMaxDepth) parser.Fail("nested too deeply");
    }
    ~Depth() { --parser.depth_; }
    Parser& parser;
  };

  [[noreturn]] void Fail(const std::string& what) const {
    throw TemplateError("line " + std::to_string(Peek().line) + ": " + what);
  }
  const Token& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token Next() { return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_]; }
  bool Is(TokenKind kind) const { return Peek().kind == kind; }
  bool IsOperator(std::string_view op, size_t ahead = 0) const {
    return Peek(ahead).kind == TokenKind::kOperator && Peek(ahead).text == op;
  }
  bool IsName(std::string_view name, size_t ahead = 0) const {
    return Peek(ahead).kind == TokenKind::kName && Peek(ahead).text == name;
  }
  bool TakeOperator(std::string_view op) { return IsOperator(op) && (Next(), true); }
  bool TakeName(std::string_view name) { return IsName(name) && (Next(), true); }
  void Expect(std::string_view op);
  void ExpectName(std::string_view name);
  std::string Identifier();
  NodePtr Make(NodeKind kind, std::string name = "") const;
  // Hangs `child` (may be null) below `parent`.
  void Add(Node& parent, NodePtr child);
  void AddNamed(Node& parent, std::string name, NodePtr child);

  // Statements up to a block tag whose name is in `ends` (left unread, after its kBlockBegin).
  Body Statements(const std::vector<std::string>& ends);
  // The same up to {% end %}, which is read.
  Body StatementsTo(const std::string& end);
  void EndBlock();
  NodePtr Statement();
  NodePtr If();
  NodePtr For();
  NodePtr Set();
  NodePtr With();
  NodePtr Macro();
  NodePtr CallBlock();
  NodePtr FilterBlock();
  NodePtr Block(const std::string& tag);
  void Parameters(Node& node);
  NodePtr Target(bool with_attribute);
  NodePtr TargetItem(bool with_attribute);

  // a, b, c without brackets is a tuple.
  NodePtr TupleOrExpression(bool conditional = true);
  NodePtr Expression();
  NodePtr Or();
  NodePtr And();
  NodePtr Not();
  NodePtr Comparison();
  NodePtr Sum();
  NodePtr Concatenation();
  NodePtr Product();
  NodePtr Power();
  NodePtr Unary(bool with_filters = true);
  NodePtr Primary();
  NodePtr Bracketed();
  NodePtr ListLiteral();
  NodePtr DictLiteral();
  NodePtr Postfix(NodePtr value);
  NodePtr Subscript(NodePtr value);
  void CallArguments(Node& node);
  NodePtr FiltersAndTests(NodePtr value);
  NodePtr Filter(NodePtr value);
  NodePtr Test(NodePtr value);
  NodePtr Binary(NodePtr left, NodePtr (Parser::*right)());

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0, loops_ = 0;
  bool uses_varargs_ = false, uses_kwargs_ = false, uses_caller_ = false;  // seen in the macro that is being read
};

}  // namespace tokenworks::text::jinja
