// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/lexer.h"

#include <algorithm>
#include <cctype>

#include "text/jinja/value.h"

namespace tokenworks::text::jinja {
namespace {

class Lexer {
 public:
  explicit Lexer(std::string_view source) : s_(source) {
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
  [[noreturn]] void Fail(const std::string& what) const { throw TemplateError("line " + std::to_string(line_) + ": " + what); }
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
      if (data.compare(0, 2, "\r\n") == 0) begin = 2;
      else if (!data.empty() && data[0] == '\n') begin = 1;
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
        if (at_line_start && kept.find_first_not_of(" \t", start) == std::string::npos) kept.erase(start);
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
      if (depth == 0 && (At(close) || ((s_[at_] == '-' || s_[at_] == '+') && s_.compare(at_ + 1, 2, close) == 0))) break;
      Lexeme(&depth);
    }
    const char sign = s_[at_] == '-' || s_[at_] == '+' ? s_[at_] : 0;
    if (sign) Advance(1);
    Advance(2);
    Add(kind == '{' ? TokenKind::kPrintEnd : TokenKind::kBlockEnd, "");
    strip_next_ = sign == '-';
    trim_newline_ = kind == '%' && sign != '+';
    if (kind == '%' && tokens_.size() == first + 2 && tokens_[first].text == "raw") Raw(first);
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
    trim_newline_ = true;
    Advance(close + 2 - at_);
  }

  void Lexeme(int* depth) {
    const char c = s_[at_];
    if (std::isalpha(static_cast<unsigned char>(c)) || c == '_') {
      size_t n = 1;
      while (at_ + n < s_.size() && (std::isalnum(static_cast<unsigned char>(s_[at_ + n])) || s_[at_ + n] == '_')) ++n;
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
    if (std::string_view("+-*/%~()[]{}.,:|=<>").find(c) == std::string_view::npos) Fail(std::string("unexpected character '") + c + "'");
    if (c == '(' || c == '[' || c == '{') ++*depth;
    if ((c == ')' || c == ']' || c == '}') && --*depth < 0) Fail(std::string("unexpected '") + c + "'");
    Add(TokenKind::kOperator, std::string(1, c));
    Advance(1);
  }

  void Number() {
    size_t n = 0;
    bool real = false;
    while (at_ + n < s_.size() && (std::isdigit(static_cast<unsigned char>(s_[at_ + n])) || s_[at_ + n] == '_')) ++n;
    if (at_ + n + 1 < s_.size() && s_[at_ + n] == '.' && std::isdigit(static_cast<unsigned char>(s_[at_ + n + 1]))) {
      real = true;
      ++n;
      while (at_ + n < s_.size() && std::isdigit(static_cast<unsigned char>(s_[at_ + n]))) ++n;
    }
    std::string text(s_.substr(at_, n));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    if (text.size() > 18) Fail("a number with too many digits");
    Add(real ? TokenKind::kFloat : TokenKind::kInteger, std::move(text));
    Advance(n);
  }

  void String(char quote) {
    std::string out;
    size_t i = at_ + 1;
    for (; i < s_.size() && s_[i] != quote; ++i) {
      if (s_[i] != '\\' || i + 1 >= s_.size()) {
        out += s_[i];
        continue;
      }
      const char e = s_[++i];
      switch (e) {
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case 'b': out += '\b'; break;
        case 'f': out += '\f'; break;
        case '0': out += '\0'; break;
        case '\n': break;
        case '\\':
        case '\'':
        case '"': out += e; break;
        case 'u':
        case 'x': i += Escape(i, e == 'u' ? 4 : 2, &out); break;
        default: (out += '\\') += e;
      }
    }
    if (i >= s_.size()) Fail("a string is not closed");
    Add(TokenKind::kString, std::move(out));
    Advance(i + 1 - at_);
  }

  size_t Escape(size_t i, size_t digits, std::string* out) const {
    uint32_t code = 0;
    for (size_t d = 1; d <= digits; ++d) {
      if (i + d >= s_.size() || !std::isxdigit(static_cast<unsigned char>(s_[i + d]))) Fail("a bad \\u or \\x escape");
      const char c = static_cast<char>(std::tolower(s_[i + d]));
      code = code * 16 + static_cast<uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (code < 0x80) {
      *out += static_cast<char>(code);
    } else if (code < 0x800) {
      *out += static_cast<char>(0xC0 | (code >> 6));
      *out += static_cast<char>(0x80 | (code & 63));
    } else {
      *out += static_cast<char>(0xE0 | (code >> 12));
      *out += static_cast<char>(0x80 | ((code >> 6) & 63));
      *out += static_cast<char>(0x80 | (code & 63));
    }
    return digits;
  }

  std::string_view s_;
  size_t at_ = 0;
  int line_ = 1;
  bool strip_next_ = false, trim_newline_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Lex(std::string_view source) { return Lexer(source).Run(); }

}  // namespace tokenworks::text::jinja
