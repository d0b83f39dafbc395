// SPDX-License-Identifier: Apache-2.0
// What one rendering may use up: a hostile template ends in an error, not in a hang or without memory.
#pragma once

#include <ctime>
#include <string>
#include <vector>

#include "text/jinja/value.h"

namespace tokenworks::text::jinja {

inline constexpr size_t kMaxOutputBytes = 32u << 20;
inline constexpr int kMaxSteps = 2'000'000;     // statements and expressions evaluated
inline constexpr size_t kMaxWork = 128u << 20;  // bytes copied and elements visited, all together
inline constexpr int kMaxRecursion = 400;       // statements and expressions inside each other, macros included
inline constexpr int64_t kMaxRange = 100'000;   // elements of range(), as jinja2's sandbox has it
inline constexpr size_t kAppendWork = 4;        // what one piece of a string counts, with its bytes
inline constexpr size_t kElementWork = 32;      // what one element of a list counts

class Runtime {
 public:
  explicit Runtime(const std::tm& now) : now_(now) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Throws TemplateError when the rendering has used up its share.
  void Work(size_t units) {
    if (units > kMaxWork - work_) throw TemplateError("the template does too much work");
    work_ += units;
  }
  void Step(int line) {
    if (++steps_ > kMaxSteps) throw TemplateError("line " + std::to_string(line) + ": the template runs too long");
  }
  // A mapping that templates may write to. It can come to hold itself, so it is emptied with the runtime.
  Value Namespace(Dict entries);
  const std::tm& now() const { return now_; }

 private:
  std::tm now_;
  size_t work_ = 0;
  int steps_ = 0;
  std::vector<Value> namespaces_;
};

// Builds a string and counts it as work.
class TextBuilder {
 public:
  explicit TextBuilder(Runtime& runtime) : runtime_(runtime) { runtime.Work(kElementWork); }
  TextBuilder& operator+=(const Text& t) {
    runtime_.Work(t.bytes.size() + kAppendWork);
    text_ += t;
    return *this;
  }
  // Text of the template itself.
  void Trusted(std::string_view s) { *this += Text(s); }
  void Repeat(const Text& t, int64_t times) {
    if (times > 0 && static_cast<uint64_t>(times) > kMaxWork) throw TemplateError("a repeated string is too large");
    for (int64_t i = 0; i < times; ++i) *this += t;
  }
  Text Take() { return std::move(text_); }

 private:
  Runtime& runtime_;
  Text text_;
};

}  // namespace tokenworks::text::jinja
