// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/print.h"

#include <fmt/format.h>

#include <cmath>

#include "text/jinja/characters.h"

namespace tokenworks::text::jinja {
namespace {

constexpr int kMaxPrintDepth = 100;

std::string FloatText(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  std::string s = fmt::format("{}", d);  // shortest form that reads back the same
  if (s.find_first_of(".e") == std::string::npos) s += ".0";
  return s;
}

std::string Escaped(std::string_view character) {
  const uint32_t code = CodePoint(character);
  switch (code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return code < 0x100     ? fmt::format("\\x{:02x}", code)
             : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code);
  }
}

void ReprText(const Text& t, TextBuilder& out) {
  if (t.markup) out.Trusted("Markup(");
  const char quote = t.bytes.find('\'') != std::string::npos && t.bytes.find('"') == std::string::npos ? '"' : '\'';
  out.Trusted(std::string_view(&quote, 1));
  for (size_t i = 0; i < t.bytes.size();) {
    const size_t n = CharacterSize(t.bytes, i);
    const std::string_view character = std::string_view(t.bytes).substr(i, n);
    const unsigned char c = t.bytes[i];
    if (c == static_cast<unsigned char>(quote) || c == '\\')
      out += Text(std::string("\\") + t.bytes[i], t.user[i]);
    else if (c < 0x20 || c == 0x7F || (c >= 0x80 && Is(CharacterClass::kUnprintable, character)))
      out += Text(Escaped(character), t.user[i]);
    else
      out += t.Slice(i, n);
    i += n;
  }
  out.Trusted(std::string_view(&quote, 1));
  if (t.markup) out.Trusted(")");
}

class Printer {
 public:
  explicit Printer(Runtime& runtime) : runtime_(runtime), out_(runtime) {}
  Text Take() { return out_.Take(); }

  void Repr(const Value& v, int depth) {
    if (depth > kMaxPrintDepth) throw TemplateError("a value nested too deeply to print");
    if (v.is_text()) return ReprText(v.text(), out_);
    if (v.is_sequence()) return Sequence(v, depth);
    if (v.is_mapping()) return Mapping(v, depth);
    if (v.is_undefined()) return out_.Trusted("Undefined");
    out_ += ToText(runtime_, v);
  }

 private:
  void Sequence(const Value& v, int depth) {
    const SequenceKind kind = v.sequence().kind;
    if (kind == SequenceKind::kGenerator || kind == SequenceKind::kRange) return out_.Trusted(v.sequence().label);
    const bool list = kind == SequenceKind::kList || kind == SequenceKind::kView;
    if (kind == SequenceKind::kView) out_.Trusted(v.sequence().label + "(");
    out_.Trusted(list ? "[" : "(");
    bool first = true;
    for (const Value& e : v.list()) {
      if (!std::exchange(first, false)) out_.Trusted(", ");
      Repr(e, depth + 1);
    }
    out_.Trusted(list ? "]" : v.list().size() == 1 ? ",)" : ")");
    if (kind == SequenceKind::kView) out_.Trusted(")");
  }

  void Mapping(const Value& v, int depth) {
    if (v.mapping().kind == MappingKind::kLoop) {
      const auto part = [&](const char* name) { return v.Find(name)->integer(); };
      return out_.Trusted(fmt::format("<LoopContext {}/{}>", part("index"), part("length")));
    }
    if (!v.is_dict()) out_.Trusted("<Namespace ");
    out_.Trusted("{");
    bool first = true;
    for (const auto& [key, e] : v.dict()) {
      if (!std::exchange(first, false)) out_.Trusted(", ");
      Repr(key, depth + 1);
      out_.Trusted(": ");
      Repr(e, depth + 1);
    }
    out_.Trusted(v.is_dict() ? "}" : "}>");
  }

  Runtime& runtime_;
  TextBuilder out_;
};

}  // namespace

Text ToText(Runtime& runtime, const Value& v) {
  if (v.is_text()) return v.text();
  if (v.is_undefined()) return {};
  if (v.is_none()) return Text("None");
  if (v.is_bool()) return Text(v.truthy() ? "True" : "False");
  if (v.is_int()) return Text(fmt::format("{}", v.integer()));
  if (v.is_float()) return Text(FloatText(v.number()));
  if (v.is_function()) return Text("<function>");
  return Repr(runtime, v);
}

Text Repr(Runtime& runtime, const Value& v) {
  Printer printer(runtime);
  printer.Repr(v, 0);
  return printer.Take();
}

}  // namespace tokenworks::text::jinja
