// SPDX-License-Identifier: Apache-2.0
#include "text/detokenizer.h"

#include <algorithm>

#include "text/utf8.h"

namespace tokenworks::text {

std::string IncrementalDetokenizer::Push(TokenId token) {
  std::string out;
  if (!with_special_ && tokenizer_->IsSpecial(token)) return out;
  pending_ += tokenizer_->TokenBytes(token);
  pending_.erase(0, AppendUtf8Lossy(pending_, false, &out));
  return out;
}

std::string IncrementalDetokenizer::Finish() {
  std::string out;
  AppendUtf8Lossy(pending_, true, &out);
  pending_.clear();
  return out;
}

std::string StopStrings::Push(std::string_view text) {
  if (stopped_) return {};
  if (stops_.empty()) return std::string(text);
  held_ += text;
  size_t first = std::string::npos, size = 0;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at < first) first = at, size = stop.size();
  }
  std::string out;
  if (first != std::string::npos) {
    stopped_ = true;
    out = held_.substr(0, first + (include_ ? size : 0));
    held_.clear();
    return out;
  }
  size_t keep = 0;  // longest end of the text that begins some stop string
  for (const std::string& stop : stops_)
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n)
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) {
        keep = n;
        break;
      }
  out = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return out;
}

std::string StopStrings::Finish() {
  std::string out = std::move(held_);
  held_.clear();
  return stopped_ ? std::string() : out;
}

}  // namespace tokenworks::text
