// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace tokenworks::text::jinja {
namespace {

constexpr int kMaxDepth = 200;

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(Lex(source)) {}

  std::vector<NodePtr> Template() {
    std::vector<NodePtr> body = Body({});
    if (Peek().kind != TokenKind::kEnd) Fail("unexpected end tag");
    return body;
  }

 private:
  struct Depth {
    explicit Depth(Parser& p) : parser(p) {
      if (++parser.depth_ > kMaxDepth) parser.Fail("nested too deeply");
    }
    ~Depth() { --parser.depth_; }
    Parser& parser;
  };

  [[noreturn]] void Fail(const std::string& what) const { throw TemplateError("line " + std::to_string(Peek().line) + ": " + what); }
  const Token& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token Next() { return tokens_[at_ < tokens_.size() - 1 ? at_++ : at_]; }
  bool IsOperator(std::string_view op) const { return Peek().kind == TokenKind::kOperator && Peek().text == op; }
  bool IsName(std::string_view name) const { return Peek().kind == TokenKind::kName && Peek().text == name; }
  bool TakeOperator(std::string_view op) { return IsOperator(op) && (Next(), true); }
  bool TakeName(std::string_view name) { return IsName(name) && (Next(), true); }
  void Expect(std::string_view op) {
    if (!TakeOperator(op)) Fail("expected '" + std::string(op) + "', found '" + Peek().text + "'");
  }
  std::string Identifier() {
    if (Peek().kind != TokenKind::kName) Fail("a name is needed, found '" + Peek().text + "'");
    return Next().text;
  }
  NodePtr Make(NodeKind kind, std::string name = "") const {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->line = Peek().line;
    node->name = std::move(name);
    return node;
  }
  void EndBlock() {
    if (Peek().kind != TokenKind::kBlockEnd) Fail("unexpected '" + Peek().text + "' in a block tag");
    Next();
  }

  // Statements up to a block tag whose name is in `ends` (left unread, after its kBlockBegin).
  std::vector<NodePtr> Body(const std::vector<std::string>& ends) {
    const Depth depth(*this);
    std::vector<NodePtr> body;
    while (Peek().kind != TokenKind::kEnd) {
      if (Peek().kind == TokenKind::kData) {
        auto node = Make(NodeKind::kData);
        node->constant = Value(Text(Next().text));
        body.push_back(std::move(node));
      } else if (Peek().kind == TokenKind::kPrintBegin) {
        Next();
        auto node = Make(NodeKind::kPrint);
        node->children.push_back(Tuple());
        if (Peek().kind != TokenKind::kPrintEnd) Fail("unexpected '" + Peek().text + "' in an expression");
        Next();
        body.push_back(std::move(node));
      } else {
        for (const std::string& end : ends)
          if (Peek(1).kind == TokenKind::kName && Peek(1).text == end) return body;
        Next();
        body.push_back(Statement());
      }
    }
    if (!ends.empty()) Fail("the template ends before '" + ends.back() + "'");
    return body;
  }

  void End(const char* name) {
    Next();  // kBlockBegin
    if (!TakeName(name)) Fail(std::string("expected ") + name);
    EndBlock();
  }

  NodePtr Statement() {
    const std::string tag = Identifier();
    if (tag == "if") return If();
    if (tag == "for") return For();
    if (tag == "set") return Set();
    if (tag == "macro") return Macro();
    if (tag == "break" || tag == "continue") {
      EndBlock();
      return Make(tag == "break" ? NodeKind::kBreak : NodeKind::kContinue);
    }
    if (tag == "filter") {
      auto node = Make(NodeKind::kFilterBlock);
      node->children.push_back(Filters(Make(NodeKind::kConstant), true));
      EndBlock();
      node->body = Body({"endfilter"});
      End("endfilter");
      return node;
    }
    if (tag == "call") {
      auto node = Make(NodeKind::kCallBlock);
      if (TakeOperator("(")) Parameters(*node);
      node->children.push_back(Expression());
      EndBlock();
      node->body = Body({"endcall"});
      End("endcall");
      return node;
    }
    if (tag == "generation" || tag == "block") {
      while (Peek().kind != TokenKind::kBlockEnd && Peek().kind != TokenKind::kEnd) Next();
      EndBlock();
      auto node = Make(NodeKind::kBlock);
      node->body = Body({"end" + tag});
      Next();
      Next();
      while (Peek().kind != TokenKind::kBlockEnd && Peek().kind != TokenKind::kEnd) Next();
      EndBlock();
      return node;
    }
    Fail("unknown tag '" + tag + "'");
  }

  NodePtr If() {
    auto node = Make(NodeKind::kIf);
    node->children.push_back(Tuple());
    EndBlock();
    node->body = Body({"elif", "else", "endif"});
    Next();
    if (TakeName("elif")) {
      node->otherwise.push_back(If());
      return node;
    }
    if (TakeName("else")) {
      EndBlock();
      node->otherwise = Body({"endif"});
      Next();
    }
    if (!TakeName("endif")) Fail("expected endif");
    EndBlock();
    return node;
  }

  std::vector<std::string> Targets() {
    std::vector<std::string> names;
    const bool brackets = TakeOperator("(");
    do names.push_back(Identifier());
    while (TakeOperator(","));
    if (brackets) Expect(")");
    return names;
  }

  NodePtr For() {
    auto node = Make(NodeKind::kFor);
    node->targets = Targets();
    if (!TakeName("in")) Fail("expected 'in'");
    node->children.push_back(Tuple(false));
    node->children.push_back(TakeName("if") ? Expression() : nullptr);
    TakeName("recursive");
    EndBlock();
    node->body = Body({"else", "endfor"});
    Next();
    if (TakeName("else")) {
      EndBlock();
      node->otherwise = Body({"endfor"});
      Next();
    }
    if (!TakeName("endfor")) Fail("expected endfor");
    EndBlock();
    return node;
  }

  NodePtr Set() {
    auto node = Make(NodeKind::kSet);
    node->targets.push_back(Identifier());
    if (TakeOperator(".")) node->name = Identifier();  // namespace attribute
    while (TakeOperator(",")) node->targets.push_back(Identifier());
    if (TakeOperator("=")) {
      node->children.push_back(Tuple());
      EndBlock();
      return node;
    }
    node->kind = NodeKind::kSetBlock;
    EndBlock();
    node->body = Body({"endset"});
    End("endset");
    return node;
  }

  void Parameters(Node& node) {
    while (!TakeOperator(")")) {
      std::string name = Identifier();
      node.named.emplace_back(std::move(name), TakeOperator("=") ? Expression() : nullptr);
      if (!IsOperator(")")) Expect(",");
    }
  }

  NodePtr Macro() {
    auto node = Make(NodeKind::kMacro, Identifier());
    Expect("(");
    Parameters(*node);
    EndBlock();
    node->body = Body({"endmacro"});
    End("endmacro");
    return node;
  }

  // a, b, c without brackets is a list.
  NodePtr Tuple(bool conditional = true) {
    NodePtr first = conditional ? Expression() : Or();
    if (!IsOperator(",")) return first;
    auto node = Make(NodeKind::kList);
    node->children.push_back(std::move(first));
    while (TakeOperator(",")) {
      if (Peek().kind == TokenKind::kBlockEnd || Peek().kind == TokenKind::kPrintEnd) break;
      node->children.push_back(Expression());
    }
    return node;
  }

  NodePtr Expression() {
    const Depth depth(*this);
    NodePtr value = Or();
    while (TakeName("if")) {
      auto node = Make(NodeKind::kConditional);
      node->children.push_back(Or());
      node->children.push_back(std::move(value));
      node->children.push_back(TakeName("else") ? Expression() : nullptr);
      value = std::move(node);
    }
    return value;
  }

  NodePtr BinaryNode(NodeKind kind, std::string op, NodePtr left, NodePtr right) {
    auto node = Make(kind, std::move(op));
    node->children.push_back(std::move(left));
    node->children.push_back(std::move(right));
    return node;
  }

  NodePtr Or() {
    NodePtr left = And();
    while (TakeName("or")) left = BinaryNode(NodeKind::kBinary, "or", std::move(left), And());
    return left;
  }

  NodePtr And() {
    NodePtr left = Not();
    while (TakeName("and")) left = BinaryNode(NodeKind::kBinary, "and", std::move(left), Not());
    return left;
  }

  NodePtr Not() {
    if (!TakeName("not")) return Comparison();
    const Depth depth(*this);
    auto node = Make(NodeKind::kUnary, "not");
    node->children.push_back(Not());
    return node;
  }

  // a < b < c compares neighbours, as in Python: names hold the operators, children the operands.
  NodePtr Comparison() {
    NodePtr left = Sum();
    NodePtr chain;
    while (true) {
      std::string op;
      if (Peek().kind == TokenKind::kOperator && (Peek().text == "==" || Peek().text == "!=" || Peek().text == "<" || Peek().text == ">" || Peek().text == "<=" || Peek().text == ">="))
        op = Next().text;
      else if (IsName("in")) op = Next().text;
      else if (IsName("not") && Peek(1).kind == TokenKind::kName && Peek(1).text == "in") Next(), Next(), op = "not in";
      else break;
      if (!chain) {
        chain = Make(NodeKind::kCompare);
        chain->children.push_back(std::move(left));
      }
      chain->targets.push_back(std::move(op));
      chain->children.push_back(Sum());
    }
    return chain ? std::move(chain) : std::move(left);
  }

  NodePtr Sum() {
    NodePtr left = Concatenation();
    while (IsOperator("+") || IsOperator("-")) {
      std::string op = Next().text;
      left = BinaryNode(NodeKind::kBinary, std::move(op), std::move(left), Concatenation());
    }
    return left;
  }

  NodePtr Concatenation() {
    NodePtr left = Product();
    while (TakeOperator("~")) left = BinaryNode(NodeKind::kBinary, "~", std::move(left), Product());
    return left;
  }

  NodePtr Product() {
    NodePtr left = Unary();
    while (IsOperator("*") || IsOperator("/") || IsOperator("//") || IsOperator("%")) {
      std::string op = Next().text;
      left = BinaryNode(NodeKind::kBinary, std::move(op), std::move(left), Unary());
    }
    return left;
  }

  NodePtr Unary(bool with_filters = true) {
    const Depth depth(*this);
    NodePtr node;
    if (IsOperator("-") || IsOperator("+")) {
      node = Make(NodeKind::kUnary, Next().text);
      node->children.push_back(Unary(false));
    } else {
      node = Postfix(Primary());
    }
    if (TakeOperator("**")) node = BinaryNode(NodeKind::kBinary, "**", std::move(node), Unary());
    return with_filters ? Filters(std::move(node), false) : std::move(node);
  }

  NodePtr Primary() {
    const Token token = Peek();
    auto node = Make(NodeKind::kConstant);
    switch (token.kind) {
      case TokenKind::kString: {
        std::string text;
        while (Peek().kind == TokenKind::kString) text += Next().text;
        node->constant = Value(Text(text));
        return node;
      }
      case TokenKind::kInteger: node->constant = Value(static_cast<int64_t>(std::stoll(Next().text))); return node;
      case TokenKind::kFloat: node->constant = Value(std::stod(Next().text)); return node;
      case TokenKind::kName: {
        Next();
        if (token.text == "true" || token.text == "True") node->constant = Value(true);
        else if (token.text == "false" || token.text == "False") node->constant = Value(false);
        else if (token.text == "none" || token.text == "None") node->constant = Value(None{});
        else node->kind = NodeKind::kName, node->name = token.text;
        return node;
      }
      case TokenKind::kOperator: break;
      default: Fail("an expression is needed");
    }
    if (TakeOperator("(")) {
      if (TakeOperator(")")) return Make(NodeKind::kList);
      NodePtr inner = Expression();
      if (IsOperator(",")) {
        auto list = Make(NodeKind::kList);
        list->children.push_back(std::move(inner));
        while (TakeOperator(",") && !IsOperator(")")) list->children.push_back(Expression());
        inner = std::move(list);
      }
      Expect(")");
      return inner;
    }
    if (TakeOperator("[")) {
      node->kind = NodeKind::kList;
      while (!TakeOperator("]")) {
        node->children.push_back(Expression());
        if (!IsOperator("]")) Expect(",");
      }
      return node;
    }
    if (TakeOperator("{")) {
      node->kind = NodeKind::kDict;
      while (!TakeOperator("}")) {
        node->children.push_back(Expression());
        Expect(":");
        node->children.push_back(Expression());
        if (!IsOperator("}")) Expect(",");
      }
      return node;
    }
    Fail("unexpected '" + token.text + "'");
  }

  void CallArguments(Node& node) {
    while (!TakeOperator(")")) {
      if (Peek().kind == TokenKind::kName && Peek(1).kind == TokenKind::kOperator && Peek(1).text == "=") {
        std::string name = Next().text;
        Next();
        node.named.emplace_back(std::move(name), Expression());
      } else {
        node.children.push_back(Expression());
      }
      if (!IsOperator(")")) Expect(",");
    }
  }

  NodePtr Postfix(NodePtr value) {
    while (true) {
      if (TakeOperator(".")) {
        auto node = Make(NodeKind::kAttribute);
        if (Peek().kind == TokenKind::kInteger) {
          node->kind = NodeKind::kIndex;
          node->children.push_back(std::move(value));
          node->children.push_back(Primary());
        } else {
          node->name = Identifier();
          node->children.push_back(std::move(value));
        }
        value = std::move(node);
      } else if (TakeOperator("[")) {
        value = Subscript(std::move(value));
      } else if (TakeOperator("(")) {
        auto node = Make(NodeKind::kCall);
        node->children.push_back(std::move(value));
        CallArguments(*node);
        value = std::move(node);
      } else {
        return value;
      }
    }
  }

  NodePtr Subscript(NodePtr value) {
    NodePtr parts[3];
    int count = 0;
    bool slice = false;
    while (!IsOperator("]")) {
      if (TakeOperator(":")) {
        slice = true;
        if (++count > 2) Fail("a slice has at most three parts");
      } else {
        parts[count] = Expression();
      }
    }
    Expect("]");
    if (!slice && !parts[0]) Fail("an index is needed");
    auto node = Make(slice ? NodeKind::kSlice : NodeKind::kIndex);
    node->children.push_back(std::move(value));
    for (int i = 0; i < (slice ? 3 : 1); ++i) node->children.push_back(std::move(parts[i]));
    return node;
  }

  // value | filter(args) … is test. `first`: the filter's name comes without a bar ({% filter %}).
  NodePtr Filters(NodePtr value, bool first) {
    while (true) {
      if (first || TakeOperator("|")) {
        first = false;
        auto node = Make(NodeKind::kFilter, Identifier());
        node->children.push_back(std::move(value));
        if (TakeOperator("(")) CallArguments(*node);
        value = Postfix(std::move(node));
      } else if (TakeName("is")) {
        auto node = Make(NodeKind::kTest);
        node->negated = TakeName("not");
        node->name = Identifier();
        node->children.push_back(std::move(value));
        if (TakeOperator("(")) {
          CallArguments(*node);
        } else if (const Token& t = Peek(); t.kind == TokenKind::kString || t.kind == TokenKind::kInteger || t.kind == TokenKind::kFloat ||
                                            (t.kind == TokenKind::kName && t.text != "and" && t.text != "or" && t.text != "else" && t.text != "if" && t.text != "is" &&
                                             t.text != "in" && t.text != "not")) {
          node->children.push_back(Postfix(Primary()));
        }
        value = std::move(node);
      } else {
        return value;
      }
    }
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::vector<NodePtr> Parse(std::string_view source) { return Parser(source).Template(); }

}  // namespace tokenworks::text::jinja
