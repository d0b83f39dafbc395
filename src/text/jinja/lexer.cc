// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/lexer.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "text/jinja/characters.h"
#include "text/jinja/value.h"

namespace tokenworks::text::jinja {
namespace {

// Every line end becomes one newline.
std::string WithoutReturns(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    out += source[i] == '\r' ? '\n' : source[i];
  }
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(WithoutReturns(source)), s_(text_) {
    // Jinja drops one newline at the end of a template.
    if (!s_.empty() && s_.back() == '\n') s_.remove_suffix(1);
  }

  std::vector<Token> Run() {
    while (at_ < s_.size()) {
      const size_t open = FindTag();
      Data(open);
      if (open == std::string_view::npos) break;
      Tag(open);
    }
    tokens_.push_back({TokenKind::kEnd, "", line_});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw TemplateError("line " + std::to_string(line_) + ": " + what);
  }
  bool At(std::string_view x) const { return s_.compare(at_, x.size(), x) == 0; }
  void Advance(size_t n) {
    line_ += static_cast<int>(std::count(s_.begin() + at_, s_.begin() + std::min(at_ + n, s_.size()), '\n'));
    at_ += n;
  }
  void Add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  size_t FindTag() const {
    for (size_t i = at_; i + 1 < s_.size(); ++i)
      if (s_[i] == '{' && (s_[i + 1] == '{' || s_[i + 1] == '%' || s_[i + 1] == '#')) return i;
    return std::string_view::npos;
  }

  // Literal text up to the tag at `open`, after white-space control from both sides.
  void Data(size_t open) {
    const size_t end = open == std::string_view::npos ? s_.size() : open;
    std::string data(s_.substr(at_, end - at_));
    size_t begin = 0;
    if (strip_next_) {
      while (begin < data.size() && std::isspace(static_cast<unsigned char>(data[begin]))) ++begin;
    } else if (trim_newline_) {
      if (!data.empty() && data[0] == '\n') begin = 1;
    }
    strip_next_ = trim_newline_ = false;
    std::string kept = data.substr(begin);
    if (open != std::string_view::npos) {
      const char sign = open + 2 < s_.size() ? s_[open + 2] : 0;
      if (sign == '-') {
        while (!kept.empty() && std::isspace(static_cast<unsigned char>(kept.back()))) kept.pop_back();
      } else if (sign != '+' && s_[open + 1] != '{') {  // lstrip_blocks
        const size_t newline = kept.rfind('\n');
        const size_t start = newline == std::string::npos ? 0 : newline + 1;
        const bool at_line_start = newline != std::string::npos || at_ + begin == 0 || s_[at_ + begin - 1] == '\n';
        if (at_line_start && kept.find_first_not_of(" \t\v\f", start) == std::string::npos) kept.erase(start);
      }
    }
    if (!kept.empty()) Add(TokenKind::kData, std::move(kept));
    Advance(end - at_);
  }

  void Tag(size_t open) {
    const char kind = s_[open + 1];
    Advance(2);
    if (at_ < s_.size() && (s_[at_] == '-' || s_[at_] == '+')) Advance(1);
    if (kind == '#') return Comment();
    Add(kind == '{' ? TokenKind::kPrintBegin : TokenKind::kBlockBegin, "");
    const size_t first = tokens_.size();
    const std::string_view close = kind == '{' ? "}}" : "%}";
    int depth = 0;
    while (true) {
      while (at_ < s_.size() && std::isspace(static_cast<unsigned char>(s_[at_]))) Advance(1);
      if (at_ >= s_.size()) Fail("a tag is not closed");
      if (depth == 0 && (At(close) || ((s_[at_] == '-' || s_[at_] == '+') && s_.compare(at_ + 1, 2, close) == 0)))
        break;
      Lexeme(&depth);
    }
    const char sign = s_[at_] == '-' || s_[at_] == '+' ? s_[at_] : 0;
    if (sign) Advance(1);
    Advance(2);
    Add(kind == '{' ? TokenKind::kPrintEnd : TokenKind::kBlockEnd, "");
    strip_next_ = sign == '-';
    trim_newline_ = kind == '%' && sign != '+';
    if (kind == '%' && sign != '+' && tokens_.size() == first + 2 && tokens_[first].kind == TokenKind::kName &&
        tokens_[first].text == "raw")
      Raw(first);
  }

  void Comment() {
    const size_t end = s_.find("#}", at_);
    if (end == std::string_view::npos) Fail("a comment is not closed");
    const bool strip = end > at_ && s_[end - 1] == '-', keep = end > at_ && s_[end - 1] == '+';
    Advance(end + 2 - at_);
    strip_next_ = strip;
    trim_newline_ = !keep;
  }

  void Raw(size_t first) {
    tokens_.resize(first - 1);
    trim_newline_ = false;
    size_t open = at_;
    while ((open = s_.find("{%", open)) != std::string_view::npos) {
      size_t i = open + 2;
      while (i < s_.size() && (std::isspace(static_cast<unsigned char>(s_[i])) || s_[i] == '-' || s_[i] == '+')) ++i;
      if (s_.compare(i, 6, "endraw") == 0) break;
      ++open;
    }
    if (open == std::string_view::npos) Fail("raw is not closed");
    Data(open);
    const size_t close = s_.find("%}", at_);
    if (close == std::string_view::npos) Fail("raw is not closed");
    strip_next_ = s_[close - 1] == '-';
    trim_newline_ = s_[close - 1] != '+';
    Advance(close + 2 - at_);
  }

  void Lexeme(int* depth) {
    const char c = s_[at_];
    const auto letter = [](unsigned char x) { return std::isalpha(x) || x == '_' || x >= 0x80; };
    if (letter(static_cast<unsigned char>(c))) {
      size_t n = 1;
      while (at_ + n < s_.size() &&
             (letter(static_cast<unsigned char>(s_[at_ + n])) || std::isdigit(static_cast<unsigned char>(s_[at_ + n]))))
        ++n;
      Add(TokenKind::kName, std::string(s_.substr(at_, n)));
      return Advance(n);
    }
    if (std::isdigit(static_cast<unsigned char>(c))) return Number();
    if (c == '"' || c == '\'') return String(c);
    for (const char* op : {"//", "**", "==", "!=", "<=", ">="})
      if (At(op)) {
        Add(TokenKind::kOperator, op);
        return Advance(2);
      }
    if (std::string_view("+-*/%~()[]{}.,:|=<>").find(c) == std::string_view::npos)
      Fail(std::string("unexpected character '") + c + "'");
    if (c == '(' || c == '[' || c == '{') ++*depth;
    if ((c == ')' || c == ']' || c == '}') && --*depth < 0) Fail(std::string("unexpected '") + c + "'");
    Add(TokenKind::kOperator, std::string(1, c));
    Advance(1);
  }

  size_t Digits(size_t at, bool (*is_digit)(int)) const {
    while (at < s_.size() &&
           (is_digit(static_cast<unsigned char>(s_[at])) ||
            (s_[at] == '_' && at + 1 < s_.size() && is_digit(static_cast<unsigned char>(s_[at + 1])))))
      ++at;
    return at;
  }

  void Number() {
    const auto decimal = [](int c) { return std::isdigit(c) != 0; };
    const char radix = at_ + 1 < s_.size() && s_[at_] == '0' ? static_cast<char>(std::tolower(s_[at_ + 1])) : 0;
    if (radix == 'x' || radix == 'o' || radix == 'b') return RadixNumber(radix == 'x' ? 16 : radix == 'o' ? 8 : 2);
    size_t end = Digits(at_, decimal);
    bool real = false;
    if (end + 1 < s_.size() && s_[end] == '.' && std::isdigit(static_cast<unsigned char>(s_[end + 1]))) {
      real = true;
      end = Digits(end + 1, decimal);
    }
    if (end + 1 < s_.size() && (s_[end] == 'e' || s_[end] == 'E')) {
      const size_t digits = end + 1 + (s_[end + 1] == '-' || s_[end + 1] == '+' ? 1 : 0);
      if (digits < s_.size() && std::isdigit(static_cast<unsigned char>(s_[digits]))) {
        real = true;
        end = Digits(digits, decimal);
      }
    }
    std::string text(s_.substr(at_, end - at_));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    Add(real ? TokenKind::kFloat : TokenKind::kInteger, std::move(text));
    Advance(end - at_);
  }

  void RadixNumber(int base) {
    const size_t end = Digits(at_ + 2, [](int c) { return std::isxdigit(c) != 0; });
    std::string text(s_.substr(at_ + 2, end - at_ - 2));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    int64_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || rest != text.data() + text.size()) Fail("a bad number");
    Add(TokenKind::kInteger, std::to_string(value));
    Advance(end - at_);
  }

  // Escapes as in Python.
  void String(char quote) {
    std::string out;
    size_t i = at_ + 1;
    while (i < s_.size() && s_[i] != quote) {
      if (s_[i] == '\\' && i + 1 < s_.size())
        i = Escape(i + 1, &out);
      else
        out += s_[i++];
    }
    if (i >= s_.size()) Fail("a string is not closed");
    Add(TokenKind::kString, std::move(out));
    Advance(i + 1 - at_);
  }

  // `i` is behind the backslash. Returns where the escape ends.
  size_t Escape(size_t i, std::string* out) const {
    constexpr std::string_view kFrom = "ntrbfav\\'\"", kTo = "\n\t\r\b\f\a\v\\'\"";
    const char e = s_[i++];
    if (const size_t simple = kFrom.find(e); simple != std::string_view::npos) return *out += kTo[simple], i;
    if (e == '\n') return i;
    if (e == 'N') throw UnsupportedFeature("a \\N escape");
    if (e >= '0' && e <= '7') {
      uint32_t code = static_cast<uint32_t>(e - '0');
      for (int n = 1; n < 3 && i < s_.size() && s_[i] >= '0' && s_[i] <= '7'; ++n)
        code = code * 8 + static_cast<uint32_t>(s_[i++] - '0');
      AppendUtf8(code, out);
      return i;
    }
    if (e != 'x' && e != 'u' && e != 'U') return (*out += '\\') += e, i;
    uint32_t code = 0;
    const size_t end = i + (e == 'x' ? 2 : e == 'u' ? 4 : 8);
    for (; i < end; ++i) {
      if (i >= s_.size() || !std::isxdigit(static_cast<unsigned char>(s_[i]))) Fail("a bad \\x, \\u or \\U escape");
      const char c = static_cast<char>(std::tolower(s_[i]));
      code = code * 16 + static_cast<uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) Fail("an escape that is no character");
    AppendUtf8(code, out);
    return end;
  }

  std::string text_;
  std::string_view s_;
  size_t at_ = 0;
  int line_ = 1;
  bool strip_next_ = false, trim_newline_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Lex(std::string_view source) { return Lexer(source).Run(); }

}  // namespace tokenworks::text::jinja
