// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/format.h"

#include <fmt/format.h>
#include <fmt/printf.h>

#include "text/jinja/characters.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"

namespace tokenworks::text::jinja {
namespace {

constexpr int kMaxWidth = 10'000;

struct Spec {
  Text fill = Text(" ");
  char align = 0, sign = 0, type = 0;  // align: < > ^ =
  bool alternate = false;
  int width = 0, precision = -1;
};

int Digits(const std::string& s, size_t* at) {
  int n = 0;
  while (*at < s.size() && s[*at] >= '0' && s[*at] <= '9') {
    n = n * 10 + (s[(*at)++] - '0');
    if (n > kMaxWidth) throw TemplateError("a format is too wide");
  }
  return n;
}

// The digits of a number, without padding.
std::string Number(const Spec& spec, const Value& v) {
  const std::string flags = std::string(spec.sign ? std::string(1, spec.sign) : "") + (spec.alternate ? "#" : "");
  if (std::string_view("eEfFgG").find(spec.type) != std::string_view::npos && spec.type)
    return fmt::sprintf(
        "%" + flags + "." + std::to_string(spec.precision < 0 ? 6 : spec.precision) + std::string(1, spec.type),
        v.number());
  const int64_t i = v.is_float() ? static_cast<int64_t>(v.number()) : v.integer();
  const char type = spec.type == 'd' || spec.type == 'i' || spec.type == 'u' || spec.type == 0 ? 'd' : spec.type;
  if (type == 'd') return fmt::sprintf("%" + flags + "d", i);
  const std::string digits =
      fmt::sprintf(std::string("%") + (spec.alternate ? "#" : "") + type, static_cast<uint64_t>(i < 0 ? -i : i));
  return (i < 0 ? "-" : spec.sign ? std::string(1, spec.sign) : "") + digits;
}

Text Padded(Runtime& runtime, const Spec& spec, const Text& t, char default_align) {
  const int64_t missing = spec.width - CharacterCount(t.bytes);
  if (missing <= 0) return t;
  const char align = spec.align ? spec.align : default_align;
  if (align == '<') return Pad(runtime, t, 0, missing, spec.fill);
  if (align == '^') return Pad(runtime, t, missing / 2, missing - missing / 2, spec.fill);
  if (align == '=' && !t.bytes.empty() && (t.bytes[0] == '-' || t.bytes[0] == '+')) {
    Text out = t.Slice(0, 1);
    return out += Pad(runtime, t.Slice(1), missing, 0, spec.fill);
  }
  return Pad(runtime, t, missing, 0, spec.fill);
}

Text Cut(const Spec& spec, const Text& t) {
  return spec.precision < 0 ? t : t.Slice(0, CharacterOffset(t.bytes, spec.precision));
}

class Percent {
 public:
  Percent(Runtime& runtime, const Text& format, const Value& values)
      : runtime_(runtime), format_(format), values_(values), out_(runtime) {}

  Text Run() {
    const std::string& f = format_.bytes;
    for (size_t at = 0; at < f.size();) {
      const size_t percent = std::min(f.find('%', at), f.size());
      out_ += format_.Slice(at, percent - at);
      at = percent;
      if (at < f.size()) Field(&++at);
    }
    if (!values_.is_dict() && used_ < Count()) throw TemplateError("not all arguments were used by the format");
    return out_.Take();
  }

 private:
  bool IsTuple() const { return values_.is_sequence(SequenceKind::kTuple); }
  size_t Count() const { return IsTuple() ? values_.list().size() : 1; }

  void Field(size_t* at) {
    const std::string& f = format_.bytes;
    Spec spec;
    std::string name;
    if (*at < f.size() && f[*at] == '(') {
      const size_t close = f.find(')', *at);
      if (close == std::string::npos) throw TemplateError("an incomplete format key");
      name = f.substr(*at + 1, close - *at - 1);
      *at = close + 1;
    }
    for (; *at < f.size() && std::string_view("-+ 0#").find(f[*at]) != std::string_view::npos; ++*at) {
      if (f[*at] == '-')
        spec.align = '<';
      else if (f[*at] == '0')
        spec.fill = Text("0");
      else if (f[*at] == '#')
        spec.alternate = true;
      else
        spec.sign = f[*at];
    }
    spec.width = Digits(f, at);
    if (*at < f.size() && f[*at] == '.') spec.precision = Digits(f, &++*at);
    if (*at >= f.size()) throw TemplateError("an incomplete format");
    spec.type = f[(*at)++];
    if (spec.type == '%') return out_.Trusted("%");
    out_ += Converted(spec, name.empty() ? Next() : Named(name));
  }

  const Value& Next() {
    if (used_ >= Count()) throw TemplateError("not enough arguments for the format");
    return IsTuple() ? values_.list()[used_++] : (++used_, values_);
  }

  const Value& Named(const std::string& name) {
    const Value* found = values_.Find(Text(name));
    if (found == nullptr) throw TemplateError("the format names '" + name + "', which is not given");
    return *found;
  }

  Text Converted(Spec spec, const Value& v) {
    switch (spec.type) {
      case 's':
      case 'r':
        spec.fill = Text(" ");
        return Padded(runtime_, spec, Cut(spec, spec.type == 's' ? ToText(runtime_, v) : Repr(runtime_, v)), '>');
      case 'c': {
        if (v.is_text()) return Padded(runtime_, spec, v.text(), '>');
        std::string c;
        AppendUtf8(static_cast<uint32_t>(v.integer()), &c);
        return Padded(runtime_, spec, Text(c), '>');
      }
      case 'd':
      case 'i':
      case 'u':
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
      case 'x':
      case 'X':
      case 'o':
        if (spec.align == '<') spec.fill = Text(" ");
        return Padded(runtime_, spec, Text(Number(spec, v)), spec.fill.bytes == "0" ? '=' : '>');
      default:
        throw TemplateError(std::string("an unknown format character '") + spec.type + "'");
    }
  }

  Runtime& runtime_;
  const Text& format_;
  const Value& values_;
  TextBuilder out_;
  size_t used_ = 0;
};

Spec ParseSpec(const std::string& s) {
  Spec spec;
  size_t at = 0;
  const auto is_align = [&](size_t i) {
    return i < s.size() && std::string_view("<>^=").find(s[i]) != std::string_view::npos;
  };
  if (!s.empty() && is_align(CharacterSize(s, 0))) {
    at = CharacterSize(s, 0);
    spec.fill = Text(s.substr(0, at));
    spec.align = s[at++];
  } else if (is_align(0)) {
    spec.align = s[at++];
  }
  if (at < s.size() && (s[at] == '+' || s[at] == ' '))
    spec.sign = s[at++];
  else if (at < s.size() && s[at] == '-')
    ++at;
  if (at < s.size() && s[at] == '0') {
    ++at;
    if (!spec.align) spec.align = '=', spec.fill = Text("0");
  }
  spec.width = Digits(s, &at);
  if (at < s.size() && s[at] == '.') spec.precision = Digits(s, &++at);
  if (at < s.size()) spec.type = s[at++];
  if (at != s.size() || (spec.type && std::string_view("sdeEfFgGxXo").find(spec.type) == std::string_view::npos))
    throw UnsupportedFeature("the format '" + s + "'");
  return spec;
}

Text Formatted(Runtime& runtime, const std::string& format, const Value& v) {
  if (format.empty()) return ToText(runtime, v);
  const Spec spec = ParseSpec(format);
  if (v.is_text()) {
    if (spec.type && spec.type != 's') throw TemplateError("format '" + format + "' of a string");
    return Padded(runtime, spec, Cut(spec, v.text()), '<');
  }
  if (!v.is_number() || v.is_bool()) throw TemplateError("format '" + format + "' of a " + TypeName(v));
  if (v.is_float() && !spec.type && spec.precision >= 0) throw UnsupportedFeature("the format '" + format + "'");
  return Padded(runtime, spec, v.is_float() && !spec.type ? ToText(runtime, v) : Text(Number(spec, v)), '>');
}

}  // namespace

Text PercentFormat(Runtime& runtime, const Text& format, const Value& values) {
  return Percent(runtime, format, values).Run();
}

Text BraceFormat(Runtime& runtime, const Text& format, const Arguments& arguments) {
  TextBuilder out(runtime);
  const std::string& f = format.bytes;
  size_t automatic = 0;
  bool manual = false;
  for (size_t at = 0; at < f.size();) {
    const size_t brace = std::min(f.find_first_of("{}", at), f.size());
    out += format.Slice(at, brace - at);
    at = brace;
    if (at == f.size()) break;
    if (at + 1 < f.size() && f[at + 1] == f[at]) {
      out += format.Slice(at, 1);
      at += 2;
      continue;
    }
    const size_t close = f.find('}', at);
    if (f[at] == '}' || close == std::string::npos) throw TemplateError("a single brace in a format");
    const std::string field = f.substr(at + 1, close - at - 1);
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string name = field.substr(0, colon);
    if (name.find_first_of(".[!{") != std::string::npos || field.find('{') != std::string::npos)
      throw UnsupportedFeature("the format field '" + field + "'");
    const bool number = !name.empty() && name.size() < 6 && name.find_first_not_of("0123456789") == std::string::npos;
    manual |= number;
    if (name.empty() && manual) throw TemplateError("a format mixes numbered and automatic fields");
    const size_t index = number ? std::stoul(name) : name.empty() ? automatic++ : SIZE_MAX;
    if (number && automatic > 0) throw TemplateError("a format mixes numbered and automatic fields");
    out += Formatted(runtime, colon < field.size() ? field.substr(colon + 1) : "", arguments.Need(index, name));
    at = close + 1;
  }
  return out.Take();
}

}  // namespace tokenworks::text::jinja
