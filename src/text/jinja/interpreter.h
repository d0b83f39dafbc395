// SPDX-License-Identifier: Apache-2.0
// Walks the tree: statements in evaluator.cc, loops in loops.cc, macros in macros.cc, expressions in expressions.cc.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/evaluator.h"
#include "text/jinja/runtime.h"

namespace tokenworks::text::jinja {

class Interpreter {
 public:
  enum class Flow { kNormal, kBreak, kContinue };

  Interpreter(const Context& context, const std::tm& now);
  ~Interpreter();
  Flow Run(const Body& body, Text* out);

 private:
  // Variables of one block; a macro keeps the scopes around its definition alive.
  struct Scope {
    std::map<std::string, Value, std::less<>> variables;
    std::shared_ptr<Scope> parent;
    bool captured = false;
  };
  using ScopePtr = std::shared_ptr<Scope>;
  // Enters a scope below `parent`, and goes back to the one before.
  class Entered {
   public:
    Entered(Interpreter& i, ScopePtr parent) : interpreter_(i), before_(i.scope_) {
      i.scope_ = std::make_shared<Scope>();
      i.scope_->parent = std::move(parent);
    }
    ~Entered() { interpreter_.scope_ = std::move(before_); }

   private:
    Interpreter& interpreter_;
    ScopePtr before_;
  };
  struct Recursion {
    Recursion(Interpreter& i, const Node& node) : interpreter(i) {
      if (++i.recursion_ > kMaxRecursion) {
        --i.recursion_;
        throw TemplateError("line " + std::to_string(node.line) + ": the template calls itself too deeply");
      }
      i.runtime_.Step(node.line);
    }
    ~Recursion() { --interpreter.recursion_; }
    Interpreter& interpreter;
  };

  Flow Statement(const Node& node, Text* out);
  Text Rendered(const Body& body);
  void Append(const Text& text, Text* out);
  void Assign(const Node& target, const Value& value);
  void With(const Node& node, Text* out);
  Value Lookup(const std::string& name) const;

  void For(const Node& node, const Value& iterable, int depth, Text* out);
  bool Iteration(const Node& node, const List& items, size_t i, int depth, const std::shared_ptr<List>& changed,
                 Text* out);
  List Filtered(const Node& node, List items);

  Value Macro(const Node& node, bool is_caller);
  void BindParameters(const Node& node, const Arguments& arguments, bool is_caller);
  void CallBlock(const Node& node, Text* out);
  void Capture();

  Value Eval(const Node& node);
  Value EvalIfAny(const NodePtr& node) { return node ? Eval(*node) : Value(); }
  List EvalAll(const Body& nodes);
  Value Dictionary(const Node& node);
  Value Call(const Node& node, const Value* caller);
  Value Filter(const Node& node, const Value* input);
  Value Binary(const Node& node);
  Value Comparison(const Node& node);
  Arguments CallArguments(const Node& node);

  Runtime runtime_;
  ScopePtr scope_;
  std::vector<ScopePtr> captured_;  // emptied at the end: scopes and macros hold each other
  int recursion_ = 0;
};

}  // namespace tokenworks::text::jinja
