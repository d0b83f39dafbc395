// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/evaluator.h"

#include <cmath>
#include <map>

#include "text/jinja/builtins.h"

namespace tokenworks::text::jinja {
namespace {

constexpr int kMaxCallDepth = 100;

enum class Flow { kNormal, kBreak, kContinue };

class Evaluator {
 public:
  explicit Evaluator(const Dict& context) {
    scopes_.emplace_back();
    for (const auto& [key, value] : context) scopes_.back()[key] = value;
  }

  Flow Run(const std::vector<NodePtr>& body, Text* out) {
    for (const NodePtr& node : body) {
      Count(*node);
      const Flow flow = Statement(*node, out);
      if (out->bytes.size() > kMaxOutputBytes) throw TemplateError("the rendered text is too large");
      if (flow != Flow::kNormal) return flow;
    }
    return Flow::kNormal;
  }

 private:
  using Scope = std::map<std::string, Value>;

  void Count(const Node& node) {
    if (++steps_ > kMaxSteps) throw TemplateError("line " + std::to_string(node.line) + ": the template runs too long");
  }

  Value Lookup(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
      if (const auto it = scope->find(name); it != scope->end()) return it->second;
    return Global(name);
  }

  Flow Statement(const Node& node, Text* out) {
    switch (node.kind) {
      case NodeKind::kData: *out += node.constant.text(); return Flow::kNormal;
      case NodeKind::kPrint: *out += ToText(Eval(*node.children[0])); return Flow::kNormal;
      case NodeKind::kIf: return Run(Eval(*node.children[0]).truthy() ? node.body : node.otherwise, out);
      case NodeKind::kFor: return For(node, out);
      case NodeKind::kSet: Set(node, Eval(*node.children[0])); return Flow::kNormal;
      case NodeKind::kSetBlock: {
        Text text;
        Scoped([&] { Run(node.body, &text); });
        Set(node, text);
        return Flow::kNormal;
      }
      case NodeKind::kMacro: scopes_.back()[node.name] = Macro(node); return Flow::kNormal;
      case NodeKind::kCallBlock: {
        Scoped([&] {
          scopes_.back()["caller"] = Macro(node);
          *out += ToText(Eval(*node.children[0]));
        });
        return Flow::kNormal;
      }
      case NodeKind::kFilterBlock: {
        Text text;
        Scoped([&] { Run(node.body, &text); });
        const Node& filter = *node.children[0];
        *out += ToText(ApplyFilter(filter.name, text, CallArguments(filter, 1)));
        return Flow::kNormal;
      }
      case NodeKind::kBlock: return Run(node.body, out);
      case NodeKind::kBreak: return Flow::kBreak;
      case NodeKind::kContinue: return Flow::kContinue;
      default: throw TemplateError("line " + std::to_string(node.line) + ": not a statement");
    }
  }

  template <typename F>
  void Scoped(F&& f) {
    scopes_.emplace_back();
    struct Pop {
      std::vector<Scope>& scopes;
      ~Pop() { scopes.pop_back(); }
    } pop{scopes_};
    f();
  }

  void Set(const Node& node, const Value& value) {
    if (!node.name.empty()) return Lookup(node.targets[0]).Set(node.name, value);
    if (node.targets.size() == 1) {
      scopes_.back()[node.targets[0]] = value;
      return;
    }
    Unpack(node.targets, value);
  }

  void Unpack(const std::vector<std::string>& targets, const Value& value) {
    if (targets.size() == 1) {
      scopes_.back()[targets[0]] = value;
      return;
    }
    const List items = Iterate(value);
    if (items.size() != targets.size()) throw TemplateError("cannot unpack " + std::to_string(items.size()) + " values into " + std::to_string(targets.size()) + " names");
    for (size_t i = 0; i < items.size(); ++i) scopes_.back()[targets[i]] = items[i];
  }

  Flow For(const Node& node, Text* out) {
    List items = Iterate(Eval(*node.children[0]));
    if (node.children[1]) {
      List kept;
      for (const Value& item : items)
        Scoped([&] {
          Unpack(node.targets, item);
          if (Eval(*node.children[1]).truthy()) kept.push_back(item);
        });
      items = std::move(kept);
    }
    if (items.empty()) {
      Scoped([&] { Run(node.otherwise, out); });
      return Flow::kNormal;
    }
    const int64_t n = static_cast<int64_t>(items.size());
    bool stop = false;
    for (int64_t i = 0; i < n && !stop; ++i) {
      Count(node);
      Scoped([&] {
        Value loop{Dict{{"index", i + 1}, {"index0", i}, {"revindex", n - i}, {"revindex0", n - i - 1}, {"first", i == 0}, {"last", i == n - 1}, {"length", n},
                        {"previtem", i > 0 ? items[i - 1] : Value()}, {"nextitem", i + 1 < n ? items[i + 1] : Value()}}};
        loop.Set("cycle", Function([i](const Arguments& a) -> Value { return a.positional.at(i % a.positional.size()); }));
        scopes_.back()["loop"] = std::move(loop);
        Unpack(node.targets, items[i]);
        stop = Run(node.body, out) == Flow::kBreak;
      });
    }
    return Flow::kNormal;
  }

  // A macro sees its own parameters and the globals as they are when it is called.
  Value Macro(const Node& node) {
    return Function([this, &node](const Arguments& arguments) -> Value {
      if (++call_depth_ > kMaxCallDepth) throw TemplateError("macros call each other too deeply");
      Text out;
      Scoped([&] {
        for (size_t i = 0; i < node.named.size(); ++i) {
          const auto& [name, fallback] = node.named[i];
          const Value* given = arguments.Get(i, name);
          scopes_.back()[name] = given ? *given : fallback ? Eval(*fallback) : Value(Undefined{name});
        }
        Run(node.body, &out);
      });
      --call_depth_;
      return out;
    });
  }

  Arguments CallArguments(const Node& node, size_t first) {
    Arguments a;
    for (size_t i = first; i < node.children.size(); ++i) a.positional.push_back(Eval(*node.children[i]));
    for (const auto& [name, value] : node.named) a.named.emplace_back(name, Eval(*value));
    return a;
  }

  Value Eval(const Node& node) {
    Count(node);
    switch (node.kind) {
      case NodeKind::kConstant: return node.constant;
      case NodeKind::kName: return Lookup(node.name);
      case NodeKind::kList: {
        List out;
        for (const NodePtr& child : node.children) out.push_back(Eval(*child));
        return out;
      }
      case NodeKind::kDict: {
        Value out{Dict{}};
        for (size_t i = 0; i + 1 < node.children.size(); i += 2) out.Set(ToText(Eval(*node.children[i])).bytes, Eval(*node.children[i + 1]));
        return out;
      }
      case NodeKind::kAttribute: return Attribute(Eval(*node.children[0]), node.name, node.line);
      case NodeKind::kIndex: return Index(Eval(*node.children[0]), Eval(*node.children[1]), node.line);
      case NodeKind::kSlice: return Slice(node);
      case NodeKind::kCall: return Call(node);
      case NodeKind::kFilter: {
        const Value v = Eval(*node.children[0]);
        return ApplyFilter(node.name, v, CallArguments(node, 1));
      }
      case NodeKind::kTest: return ApplyTest(node.name, Eval(*node.children[0]), CallArguments(node, 1)) != node.negated;
      case NodeKind::kUnary: return Unary(node);
      case NodeKind::kBinary: return Binary(node);
      case NodeKind::kCompare: return Comparison(node);
      case NodeKind::kConditional:
        if (Eval(*node.children[0]).truthy()) return Eval(*node.children[1]);
        return node.children[2] ? Eval(*node.children[2]) : Value();
      default: throw TemplateError("line " + std::to_string(node.line) + ": not an expression");
    }
  }

  Value Call(const Node& node) {
    const Value callee = Eval(*node.children[0]);
    try {
      return callee.function()(CallArguments(node, 1));
    } catch (const std::out_of_range&) {
      throw TemplateError("line " + std::to_string(node.line) + ": a call lacks an argument");
    }
  }

  Value Attribute(const Value& v, const std::string& name, int line) {
    if (v.is_undefined()) throw TemplateError("line " + std::to_string(line) + ": '" + v.undefined_what() + "' is undefined, so it has no attribute '" + name + "'");
    if (v.is_dict()) {
      // As jinja2: attributes (methods) first, then items.
      Value method = Method(v, name);
      if (!method.is_undefined() && v.Find(name) == nullptr) return method;
      const Value* found = v.Find(name);
      return found ? *found : Value(Undefined{name});
    }
    return Method(v, name);
  }

  Value Index(const Value& v, const Value& key, int line) {
    if (v.is_undefined()) throw TemplateError("line " + std::to_string(line) + ": '" + v.undefined_what() + "' is undefined and cannot be indexed");
    if (v.is_dict()) {
      if (!key.is_text()) return Value();
      const Value* found = v.Find(key.text().bytes);
      return found ? *found : Value(Undefined{key.text().bytes});
    }
    if (key.is_text()) return Method(v, key.text().bytes);
    if (!key.is_int()) return Value();
    const List items = Iterate(v);
    int64_t i = key.integer();
    if (i < 0) i += static_cast<int64_t>(items.size());
    return i >= 0 && i < static_cast<int64_t>(items.size()) ? items[i] : Value();
  }

  Value Slice(const Node& node) {
    const Value v = Eval(*node.children[0]);
    const List items = Iterate(v);
    const int64_t n = static_cast<int64_t>(items.size());
    const auto part = [&](int i, int64_t fallback) { return node.children[i] ? [&] { const Value x = Eval(*node.children[i]); return x.is_none() ? fallback : x.integer(); }() : fallback; };
    const int64_t step = part(3, 1);
    if (step == 0) throw TemplateError("a slice with step 0");
    const auto clip = [&](int64_t i, int64_t low, int64_t high) { return std::min(std::max(i < 0 ? i + n : i, low), high); };
    const int64_t start = step > 0 ? clip(part(1, 0), 0, n) : clip(part(1, n - 1), -1, n - 1);
    const bool has_stop = node.children[2] != nullptr;
    const int64_t stop = step > 0 ? clip(part(2, n), 0, n) : has_stop ? clip(part(2, 0), -1, n - 1) : -1;
    List out;
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) out.push_back(items[i]);
    if (!v.is_text()) return out;
    Text text;
    for (const Value& c : out) text += c.text();
    return text;
  }

  Value Unary(const Node& node) {
    const Value v = Eval(*node.children[0]);
    if (node.name == "not") return !v.truthy();
    if (node.name == "+") return v;
    return v.is_float() ? Value(-v.number()) : Value(-v.integer());
  }

  Value Binary(const Node& node) {
    const Value a = Eval(*node.children[0]);
    if (node.name == "and") return a.truthy() ? Eval(*node.children[1]) : a;
    if (node.name == "or") return a.truthy() ? a : Eval(*node.children[1]);
    const Value b = Eval(*node.children[1]);
    if (node.name == "~") {
      Text out = ToText(a);
      out += ToText(b);
      return out;
    }
    if (node.name == "+" && a.is_text() && b.is_text()) {
      Text out = a.text();
      out += b.text();
      return out;
    }
    if (node.name == "+" && a.is_list() && b.is_list()) {
      List out = a.list();
      out.insert(out.end(), b.list().begin(), b.list().end());
      return out;
    }
    if (node.name == "*" && a.is_text() && b.is_int()) {
      Text out;
      if (b.integer() > 0 && a.text().bytes.size() * static_cast<size_t>(b.integer()) > kMaxOutputBytes) throw TemplateError("a repeated string is too large");
      for (int64_t i = 0; i < b.integer(); ++i) out += a.text();
      return out;
    }
    if (!a.is_number() || !b.is_number())
      throw TemplateError("line " + std::to_string(node.line) + ": '" + node.name + "' between " + TypeName(a) + " and " + TypeName(b));
    return Arithmetic(node.name, a, b);
  }

  static Value Arithmetic(const std::string& op, const Value& a, const Value& b) {
    const bool real = a.is_float() || b.is_float();
    if (op == "/" || op == "//" || op == "%") {
      if (b.number() == 0) throw TemplateError("division by zero");
      if (op == "/") return a.number() / b.number();
      const double floor = std::floor(a.number() / b.number());
      if (real) return op == "//" ? floor : a.number() - floor * b.number();
      const int64_t x = a.integer(), y = b.integer();
      if (y == -1) return op == "//" ? Value(static_cast<int64_t>(-static_cast<uint64_t>(x))) : Value(0);
      const int64_t q = x / y - ((x % y != 0 && (x < 0) != (y < 0)) ? 1 : 0);
      return op == "//" ? q : x - q * y;
    }
    if (op == "**") {
      const double p = std::pow(a.number(), b.number());
      return real || b.number() < 0 || std::fabs(p) > 9e15 ? Value(p) : Value(static_cast<int64_t>(p));
    }
    if (real) return op == "+" ? a.number() + b.number() : op == "-" ? a.number() - b.number() : a.number() * b.number();
    const uint64_t x = static_cast<uint64_t>(a.integer()), y = static_cast<uint64_t>(b.integer());  // wraps, never traps
    return static_cast<int64_t>(op == "+" ? x + y : op == "-" ? x - y : x * y);
  }

  Value Comparison(const Node& node) {
    Value left = Eval(*node.children[0]);
    for (size_t i = 0; i < node.targets.size(); ++i) {
      const Value right = Eval(*node.children[i + 1]);
      const std::string& op = node.targets[i];
      bool holds;
      if (op == "==") holds = Equal(left, right);
      else if (op == "!=") holds = !Equal(left, right);
      else if (op == "in") holds = Contains(right, left);
      else if (op == "not in") holds = !Contains(right, left);
      else if (op == "<") holds = Compare(left, right) < 0;
      else if (op == ">") holds = Compare(left, right) > 0;
      else if (op == "<=") holds = Compare(left, right) <= 0;
      else holds = Compare(left, right) >= 0;
      if (!holds) return false;
      left = right;
    }
    return true;
  }

  std::vector<Scope> scopes_;
  int steps_ = 0;
  int call_depth_ = 0;
};

}  // namespace

Text Evaluate(const std::vector<NodePtr>& body, const Dict& context) {
  Evaluator evaluator(context);
  Text out;
  evaluator.Run(body, &out);
  return out;
}

}  // namespace tokenworks::text::jinja
