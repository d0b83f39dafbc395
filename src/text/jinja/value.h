// SPDX-License-Identifier: Apache-2.0
// Values of the template language. Strings know which of their bytes a user wrote.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tokenworks::text::jinja {

// Thrown inside the library only; ChatTemplate turns it into a Status.
struct TemplateError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// A feature of the template language that is known and not built.
struct UnsupportedFeature : TemplateError {
  explicit UnsupportedFeature(const std::string& feature)
      : TemplateError("the chat template uses " + feature + ", which is not supported") {}
};

// A string whose bytes carry their origin: user[i] is 1 when byte i came from the conversation.
struct Text {
  std::string bytes, user;
  bool markup = false;  // marked as safe HTML: text joined to it is escaped
  Text() = default;
  Text(std::string_view s, bool from_user = false)
      : bytes(s), user(s.size(), from_user ? 1 : 0) {}  // NOLINT: implicit on purpose
  Text Slice(size_t at, size_t size = std::string::npos) const {
    Text t;
    t.bytes = bytes.substr(at, size);
    t.user = user.substr(at, size);
    return t;
  }
  Text& operator+=(const Text& o) {
    bytes += o.bytes;
    user += o.user;
    return *this;
  }
};

class Value;
class Runtime;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<Value, Value>>;  // insertion order
struct Arguments {
  List positional;
  std::vector<std::pair<std::string, Value>> named;
  const Value* Named(std::string_view name) const;
  // Positional argument `index`, or the one of that name, or null.
  const Value* Get(size_t index, std::string_view name) const;
  // The same, and TemplateError when it is missing.
  const Value& Need(size_t index, std::string_view name) const;
};
using Function = std::function<Value(Runtime&, const Arguments&)>;

enum class SequenceKind { kList, kTuple, kGroup, kView, kRange, kGenerator };
// List, tuple, and what Python makes of items(), range() and filters that yield.
struct Sequence {
  List items;
  SequenceKind kind = SequenceKind::kList;
  std::string label;  // kView: its type; kRange, kGenerator: what it prints as
  int depth = 1;
};

enum class MappingKind { kDict, kNamespace, kLoop };
struct Mapping {
  Dict entries;
  MappingKind kind = MappingKind::kDict;
  Function call;  // kLoop of a recursive for
  int depth = 1;
};

struct Undefined {
  std::shared_ptr<const std::string> what;
  Undefined() = default;
  Undefined(std::string message)
      : what(std::make_shared<std::string>(std::move(message))) {}  // NOLINT: implicit on purpose
};
struct None {};

// Cheap to copy: containers and strings are shared, as in Python.
class Value {
 public:
  Value() : v_(Undefined{}) {}
  Value(Undefined u) : v_(std::move(u)) {}
  Value(None) : v_(None{}) {}
  Value(bool b) : v_(b) {}
  Value(int64_t i) : v_(i) {}
  Value(int i) : v_(int64_t{i}) {}
  Value(double d) : v_(d) {}
  Value(Text t) : v_(std::make_shared<const Text>(std::move(t))) {}
  Value(const char* s) : Value(Text(s)) {}
  Value(List l, SequenceKind kind = SequenceKind::kList, std::string label = "");
  Value(Dict d, MappingKind kind = MappingKind::kDict);
  Value(Function f) : v_(std::make_shared<Function>(std::move(f))) {}

  bool is_undefined() const { return std::holds_alternative<Undefined>(v_); }
  bool is_none() const { return std::holds_alternative<None>(v_); }
  bool is_bool() const { return std::holds_alternative<bool>(v_); }
  bool is_int() const { return std::holds_alternative<int64_t>(v_); }
  bool is_float() const { return std::holds_alternative<double>(v_); }
  bool is_number() const { return is_int() || is_float() || is_bool(); }
  bool is_text() const { return std::holds_alternative<std::shared_ptr<const Text>>(v_); }
  bool is_sequence() const { return std::holds_alternative<std::shared_ptr<Sequence>>(v_); }
  bool is_sequence(SequenceKind kind) const { return is_sequence() && sequence().kind == kind; }
  bool is_mapping() const { return std::holds_alternative<std::shared_ptr<Mapping>>(v_); }
  bool is_dict() const { return is_mapping() && mapping().kind == MappingKind::kDict; }
  bool is_function() const { return std::holds_alternative<std::shared_ptr<Function>>(v_); }

  // TemplateError when the value is of another type.
  int64_t integer() const;  // bool counts as 0 / 1
  double number() const;
  const Text& text() const;
  const std::string& bytes() const { return text().bytes; }
  Sequence& sequence() const;
  const List& list() const { return sequence().items; }
  Mapping& mapping() const;
  const Dict& dict() const { return mapping().entries; }
  const Function& function() const;
  std::string undefined_what() const;
  // Address of a container, to tell one from another.
  const void* identity() const;

  bool truthy() const;
  // Null when the key is absent.
  const Value* Find(const Value& key) const;
  void Set(const Value& key, Value value) const;

 private:
  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>, std::shared_ptr<Sequence>,
               std::shared_ptr<Mapping>, std::shared_ptr<Function>>
      v_;
};

// Python's name of the type.
std::string TypeName(const Value& v);
[[noreturn]] void FailUndefined(const Value& v);
// True for equal keys of a mapping: strings and numbers by value.
bool SameKey(const Value& a, const Value& b);

}  // namespace tokenworks::text::jinja
