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

// A string whose bytes carry their origin: user[i] is 1 when byte i came from the conversation.
struct Text {
  std::string bytes, user;
  Text() = default;
  Text(std::string_view s, bool from_user = false) : bytes(s), user(s.size(), from_user ? 1 : 0) {}  // NOLINT: implicit on purpose
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
  bool from_user() const { return user.find('\1') != std::string::npos; }
};

class Value;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<std::string, Value>>;  // insertion order
struct Arguments {
  List positional;
  Dict named;
  const Value* Named(std::string_view name) const;
  // Positional argument `index`, or the one of that name, or null.
  const Value* Get(size_t index, std::string_view name) const;
};
using Function = std::function<Value(const Arguments&)>;

struct Undefined {
  std::string what;
};
struct None {};

// Cheap to copy: containers are shared, as in Python.
class Value {
 public:
  Value() : v_(Undefined{}) {}
  Value(Undefined u) : v_(std::move(u)) {}
  Value(None) : v_(None{}) {}
  Value(bool b) : v_(b) {}
  Value(int64_t i) : v_(i) {}
  Value(int i) : v_(int64_t{i}) {}
  Value(double d) : v_(d) {}
  Value(Text t) : v_(std::move(t)) {}
  Value(const char* s) : v_(Text(s)) {}
  Value(List l) : v_(std::make_shared<List>(std::move(l))) {}
  Value(Dict d) : v_(std::make_shared<Dict>(std::move(d))) {}
  Value(Function f) : v_(std::make_shared<Function>(std::move(f))) {}

  bool is_undefined() const { return std::holds_alternative<Undefined>(v_); }
  bool is_none() const { return std::holds_alternative<None>(v_); }
  bool is_bool() const { return std::holds_alternative<bool>(v_); }
  bool is_int() const { return std::holds_alternative<int64_t>(v_); }
  bool is_float() const { return std::holds_alternative<double>(v_); }
  bool is_number() const { return is_int() || is_float() || is_bool(); }
  bool is_text() const { return std::holds_alternative<Text>(v_); }
  bool is_list() const { return std::holds_alternative<std::shared_ptr<List>>(v_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<Dict>>(v_); }
  bool is_function() const { return std::holds_alternative<std::shared_ptr<Function>>(v_); }

  int64_t integer() const;  // bool counts as 0 / 1; TemplateError otherwise
  double number() const;
  const Text& text() const;
  List& list() const;
  Dict& dict() const;
  const Function& function() const;
  const std::string& undefined_what() const { return std::get<Undefined>(v_).what; }

  bool truthy() const;
  // Null when the key is absent.
  Value* Find(std::string_view key) const;
  void Set(std::string_view key, Value value) const;

 private:
  std::variant<Undefined, None, bool, int64_t, double, Text, std::shared_ptr<List>, std::shared_ptr<Dict>, std::shared_ptr<Function>> v_;
};

std::string TypeName(const Value& v);
bool Equal(const Value& a, const Value& b);
// -1, 0, 1; TemplateError for types that have no order.
int Compare(const Value& a, const Value& b);
// As Python's str(), and repr() inside containers.
Text ToText(const Value& v);
// As Python's json.dumps(ensure_ascii=False); indent < 0 = one line.
Text ToJson(const Value& v, int indent);

}  // namespace tokenworks::text::jinja
