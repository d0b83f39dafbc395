// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/value.h"

#include <algorithm>

namespace tokenworks::text::jinja {
namespace {

constexpr int kMaxDepth = 200;  // containers in containers: everything that walks them recurses

int DepthOf(const Value& v) { return v.is_sequence() ? v.sequence().depth : v.is_mapping() ? v.mapping().depth : 0; }

void Grow(int* depth, const Value& child) {
  *depth = std::max(*depth, DepthOf(child) + 1);
  if (*depth > kMaxDepth) throw TemplateError("a value nested too deeply");
}

[[noreturn]] void FailType(const char* wanted, const Value& v) {
  if (v.is_undefined()) FailUndefined(v);
  throw TemplateError(std::string(wanted) + " is needed, found " + TypeName(v));
}

}  // namespace

const Value* Arguments::Named(std::string_view name) const {
  for (const auto& [key, value] : named)
    if (key == name) return &value;
  return nullptr;
}

const Value* Arguments::Get(size_t index, std::string_view name) const {
  return index < positional.size() ? &positional[index] : Named(name);
}

const Value& Arguments::Need(size_t index, std::string_view name) const {
  const Value* found = Get(index, name);
  if (found == nullptr) throw TemplateError("a call lacks the argument '" + std::string(name) + "'");
  return *found;
}

Value::Value(List l, SequenceKind kind, std::string label) {
  auto sequence = std::make_shared<Sequence>();
  for (const Value& item : l) Grow(&sequence->depth, item);
  sequence->items = std::move(l);
  sequence->kind = kind;
  sequence->label = std::move(label);
  v_ = std::move(sequence);
}

Value::Value(Dict d, MappingKind kind) {
  auto mapping = std::make_shared<Mapping>();
  for (const auto& [key, value] : d) Grow(&mapping->depth, value);
  mapping->entries = std::move(d);
  mapping->kind = kind;
  v_ = std::move(mapping);
}

std::string TypeName(const Value& v) {
  if (v.is_undefined()) return "undefined";
  if (v.is_none()) return "NoneType";
  if (v.is_bool()) return "bool";
  if (v.is_int()) return "int";
  if (v.is_float()) return "float";
  if (v.is_text()) return "str";
  if (v.is_sequence()) {
    switch (v.sequence().kind) {
      case SequenceKind::kList:
        return "list";
      case SequenceKind::kTuple:
      case SequenceKind::kGroup:
        return "tuple";
      case SequenceKind::kView:
        return v.sequence().label;
      case SequenceKind::kRange:
        return "range";
      case SequenceKind::kGenerator:
        return "generator";
    }
  }
  if (v.is_mapping()) return v.is_dict() ? "dict" : v.mapping().kind == MappingKind::kLoop ? "loop" : "namespace";
  return "function";
}

void FailUndefined(const Value& v) { throw TemplateError(v.undefined_what()); }

int64_t Value::integer() const {
  if (const auto* i = std::get_if<int64_t>(&v_)) return *i;
  if (const auto* b = std::get_if<bool>(&v_)) return *b;
  FailType("an integer", *this);
}

double Value::number() const {
  if (const auto* d = std::get_if<double>(&v_)) return *d;
  if (!is_number()) FailType("a number", *this);
  return static_cast<double>(integer());
}

const Text& Value::text() const {
  if (const auto* t = std::get_if<std::shared_ptr<const Text>>(&v_)) return **t;
  FailType("a string", *this);
}

Sequence& Value::sequence() const {
  if (const auto* l = std::get_if<std::shared_ptr<Sequence>>(&v_)) return **l;
  FailType("a list", *this);
}

Mapping& Value::mapping() const {
  if (const auto* d = std::get_if<std::shared_ptr<Mapping>>(&v_)) return **d;
  FailType("a mapping", *this);
}

const Function& Value::function() const {
  if (const auto* f = std::get_if<std::shared_ptr<Function>>(&v_)) return **f;
  if (is_mapping() && mapping().call) return mapping().call;
  if (is_undefined()) FailUndefined(*this);
  throw TemplateError("'" + TypeName(*this) + "' cannot be called");
}

std::string Value::undefined_what() const {
  const auto& what = std::get<Undefined>(v_).what;
  return what ? *what : "an undefined value is used";
}

const void* Value::identity() const {
  if (is_sequence()) return &sequence();
  if (is_mapping()) return &mapping();
  if (is_text()) return &text();
  return is_function() ? &function() : nullptr;
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_float()) return number() != 0;
  if (is_number()) return integer() != 0;
  if (is_text()) return !bytes().empty();
  if (is_sequence()) return is_sequence(SequenceKind::kGenerator) || !list().empty();
  if (is_dict()) return !dict().empty();
  return true;
}

bool SameKey(const Value& a, const Value& b) {
  if (a.is_text()) return b.is_text() && a.bytes() == b.bytes();
  if (a.is_number()) return b.is_number() && a.number() == b.number();
  if (a.is_none()) return b.is_none();
  if (!a.is_sequence(SequenceKind::kTuple) || !b.is_sequence(SequenceKind::kTuple)) return false;
  return std::equal(a.list().begin(), a.list().end(), b.list().begin(), b.list().end(), SameKey);
}

const Value* Value::Find(const Value& key) const {
  for (const auto& [k, v] : dict())
    if (SameKey(k, key)) return &v;
  return nullptr;
}

void Value::Set(const Value& key, Value value) const {
  if (key.is_mapping() || (key.is_sequence() && !key.is_sequence(SequenceKind::kTuple)))
    throw TemplateError("unhashable type: '" + TypeName(key) + "'");
  Mapping& m = mapping();
  Grow(&m.depth, value);
  for (auto& [k, v] : m.entries)
    if (SameKey(k, key)) {
      v = std::move(value);
      return;
    }
  m.entries.emplace_back(key, std::move(value));
}

}  // namespace tokenworks::text::jinja
