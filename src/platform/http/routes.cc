// SPDX-License-Identifier: Apache-2.0
#include "platform/http/routes.h"

namespace tokenworks::http {
namespace {

bool MatchPath(std::string_view pattern, std::string_view path, std::vector<std::string>* captures) {
  captures->clear();
  while (!pattern.empty()) {
    if (pattern.front() != '{') {
      if (path.empty() || path.front() != pattern.front()) return false;
      pattern.remove_prefix(1);
      path.remove_prefix(1);
      continue;
    }
    const size_t close = pattern.find('}');
    const bool rest = pattern.substr(0, close).ends_with("...");
    const size_t end = rest ? path.size() : std::min(path.find('/'), path.size());
    if (end == 0) return false;
    captures->emplace_back(path.substr(0, end));
    pattern.remove_prefix(close + 1);
    path.remove_prefix(end);
  }
  return path.empty();
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void Routes::Add(std::string method, std::string path, Handler handler) {
  entries_.push_back({std::move(method), std::move(path), std::move(handler)});
}

Routes::Match Routes::Find(const std::string& method, const std::string& path) const {
  const std::string_view wanted = method == "HEAD" ? "GET" : std::string_view(method);
  Match match;
  for (const Entry& entry : entries_) {
    std::vector<std::string> captures;
    if (!MatchPath(entry.path, path, &captures)) continue;
    if (entry.method == wanted) {
      match.handler = &entry.handler;
      match.captures = std::move(captures);
      return match;
    }
    match.allow += (match.allow.empty() ? "" : ", ") + entry.method + (entry.method == "GET" ? ", HEAD" : "");
  }
  if (!match.allow.empty()) match.allow += ", OPTIONS";
  return match;
}

bool PercentDecode(std::string_view text, std::string* out) {
  out->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out->push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0 || high + low == 0) return false;
    out->push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return true;
}

}  // namespace tokenworks::http
