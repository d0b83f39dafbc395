// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/compare.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/iterate.h"

namespace tokenworks::text::jinja {

List Interpreter::Filtered(const Node& node, List items) {
  if (!node.children[2]) return items;
  List kept;
  for (const Value& item : items) {
    const Entered scope(*this, scope_);
    Assign(*node.children[0], item);
    if (Eval(*node.children[2]).truthy()) kept.push_back(item);
  }
  return kept;
}

void Interpreter::For(const Node& node, const Value& iterable, int depth, Text* out) {
  const List items = Filtered(node, Iterate(runtime_, iterable));
  const auto changed = std::make_shared<List>();
  for (size_t i = 0; i < items.size(); ++i)
    if (!Iteration(node, items, i, depth, changed, out)) return;
  if (!items.empty()) return;
  const Entered scope(*this, scope_);
  Run(node.otherwise, out);
}

// False after a break.
bool Interpreter::Iteration(const Node& node, const List& items, size_t at, int depth,
                            const std::shared_ptr<List>& changed, Text* out) {
  const Recursion recursion(*this, node);
  runtime_.Work(kElementWork * 16);
  const Entered scope(*this, scope_);
  const int64_t i = static_cast<int64_t>(at), n = static_cast<int64_t>(items.size());
  const Function cycle = [i](Runtime&, const Arguments& a) -> Value {
    if (a.positional.empty()) throw TemplateError("cycle needs items");
    return a.positional[static_cast<size_t>(i) % a.positional.size()];
  };
  const Function changes = [changed](Runtime& runtime, const Arguments& a) -> Value {
    if (changed->size() == 1 && Equal(runtime, changed->front(), Value(a.positional))) return false;
    *changed = {Value(a.positional)};
    return true;
  };
  const Value loop(Dict{{"index", i + 1},
                        {"index0", i},
                        {"revindex", n - i},
                        {"revindex0", n - i - 1},
                        {"first", i == 0},
                        {"last", i == n - 1},
                        {"length", n},
                        {"depth", depth},
                        {"depth0", depth - 1},
                        {"previtem", i > 0 ? items[at - 1] : Value(Undefined("there is no previous item"))},
                        {"nextitem", i + 1 < n ? items[at + 1] : Value(Undefined("there is no next item"))},
                        {"cycle", cycle},
                        {"changed", changes}},
                   MappingKind::kLoop);
  if (node.recursive) {
    loop.mapping().call = [this, &node, depth, outside = std::weak_ptr<Scope>(scope_->parent)](
                              Runtime&, const Arguments& a) -> Value {
      Text text;
      const ScopePtr parent = outside.lock();
      if (!parent) throw TemplateError("a loop is called after its end");
      const Entered inner(*this, parent);
      For(node, a.Need(0, "iterable"), depth + 1, &text);
      return text;
    };
  }
  scope_->variables["loop"] = loop;
  Assign(*node.children[0], items[at]);
  return Run(node.body, out) != Flow::kBreak;
}

}  // namespace tokenworks::text::jinja
