// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer.h"

#include <algorithm>
#include <queue>

#include "platform/base/str_cat.h"
#include "text/utf8.h"

namespace tokenworks::text {
namespace {

using base::StrCat;

// GPT-2's printable alphabet: bytes that print stand for themselves, the other 68 for U+0100 + n, in order.
std::unordered_map<uint32_t, uint8_t> PrintableBytes() {
  std::unordered_map<uint32_t, uint8_t> map;
  uint32_t next = 256;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool prints = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    map[prints ? b : next++] = static_cast<uint8_t>(b);
  }
  return map;
}

// False when a character is outside the alphabet.
bool ToBytes(std::string_view printable, const std::unordered_map<uint32_t, uint8_t>& alphabet, std::string* out) {
  for (size_t i = 0; i < printable.size();) {
    const uint8_t lead = static_cast<uint8_t>(printable[i]);
    uint32_t code = lead;
    size_t size = 1;
    if (lead >= 0xC0 && lead < 0xE0 && i + 1 < printable.size())
      code = ((lead & 31u) << 6) | (static_cast<uint8_t>(printable[i + 1]) & 63u), size = 2;
    const auto it = alphabet.find(code);
    if (it == alphabet.end()) return false;
    out->push_back(static_cast<char>(it->second));
    i += size;
  }
  return true;
}

uint64_t PairKey(TokenId left, TokenId right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

}  // namespace

StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Create(TokenizerData data) {
  std::unique_ptr<Tokenizer> t(new Tokenizer);
  TW_ASSIGN_OR_RETURN(t->pre_tokenizer_, PreTokenizer::Create(data.pre_tokenizer));
  if (data.tokens.empty() || data.special.size() != data.tokens.size())
    return absl::InvalidArgumentError(
        StrCat("tokenizer: ", data.tokens.size(), " tokens with ", data.special.size(), " types"));
  const auto alphabet = PrintableBytes();
  std::fill(std::begin(t->byte_tokens_), std::end(t->byte_tokens_), -1);
  std::unordered_map<std::string, TokenId> by_text;
  t->special_ = data.special;
  t->bytes_.resize(data.tokens.size());
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    const TokenId id = static_cast<TokenId>(i);
    t->longest_ = std::max(t->longest_, data.tokens[i].size());  // printed, a byte may take two
    if (data.special[i]) {
      t->bytes_[i] = data.tokens[i];
      if (!data.tokens[i].empty()) t->specials_.emplace_back(data.tokens[i], id);
      continue;
    }
    if (!ToBytes(data.tokens[i], alphabet, &t->bytes_[i]))
      return absl::InvalidArgumentError(StrCat("tokenizer: token ", i, " is not in the byte alphabet"));
    by_text.emplace(data.tokens[i], id);
    if (t->bytes_[i].size() == 1) t->byte_tokens_[static_cast<uint8_t>(t->bytes_[i][0])] = id;
  }
  std::sort(t->specials_.begin(), t->specials_.end(),
            [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  for (size_t rank = 0; rank < data.merges.size(); ++rank) {
    const std::string& m = data.merges[rank];
    const size_t space = m.find(' ', 1);
    if (space == std::string::npos)
      return absl::InvalidArgumentError(StrCat("tokenizer: merge ", rank, " has no space"));
    const auto left = by_text.find(m.substr(0, space)), right = by_text.find(m.substr(space + 1)),
               merged = by_text.find(m.substr(0, space) + m.substr(space + 1));
    if (left == by_text.end() || right == by_text.end() || merged == by_text.end())
      return absl::InvalidArgumentError(StrCat("tokenizer: merge ", rank, " names a token that the vocabulary lacks"));
    t->merges_.emplace(PairKey(left->second, right->second), Merge{static_cast<int>(rank), merged->second});
  }
  t->bos_ = data.bos;
  t->eos_ = data.eos;
  t->add_bos_ = data.add_bos;
  return t;
}

const Tokenizer::Merge* Tokenizer::FindMerge(TokenId left, TokenId right) const {
  const auto it = merges_.find(PairKey(left, right));
  return it == merges_.end() ? nullptr : &it->second;
}

// Merges the best-ranked pair, leftmost first, until none is left: a linked list of symbols and a heap of pairs.
void Tokenizer::EncodePiece(std::string_view piece, std::vector<TokenId>* out) const {
  struct Symbol {
    TokenId id;
    int previous, next;
  };
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (const char c : piece) {
    const TokenId id = byte_tokens_[static_cast<uint8_t>(c)];
    if (id < 0) continue;
    const int n = static_cast<int>(symbols.size());
    symbols.push_back({id, n - 1, n + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;
  struct Pair {
    int rank, left;
    TokenId left_id, right_id, merged;
    bool operator<(const Pair& o) const { return rank != o.rank ? rank > o.rank : left > o.left; }
  };
  std::priority_queue<Pair> pairs;
  const auto offer = [&](int left) {
    if (left < 0 || symbols[left].next < 0) return;
    const TokenId a = symbols[left].id, b = symbols[symbols[left].next].id;
    if (const Merge* m = FindMerge(a, b)) pairs.push({m->rank, left, a, b, m->merged});
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) offer(static_cast<int>(i));
  while (!pairs.empty()) {
    const Pair p = pairs.top();
    pairs.pop();
    Symbol& left = symbols[p.left];
    if (left.id != p.left_id || left.next < 0 || symbols[left.next].id != p.right_id) continue;  // stale
    Symbol& right = symbols[left.next];
    left.id = p.merged;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = p.left;
    offer(left.previous);
    offer(p.left);
  }
  for (int i = 0; i >= 0; i = symbols[i].next) out->push_back(symbols[i].id);
}

void Tokenizer::EncodeRun(std::string_view text, std::vector<TokenId>* out) const {
  pre_tokenizer_->Split(text, [&](std::string_view piece) { EncodePiece(piece, out); });
}

std::vector<TokenId> Tokenizer::Encode(std::string_view text) const {
  const Segment segment{std::string(text), false};
  return Encode(std::span(&segment, 1));
}

std::vector<TokenId> Tokenizer::Encode(std::span<const Segment> segments) const {
  std::vector<TokenId> ids;
  std::string run;
  const auto flush = [&] {
    std::string clean;
    AppendUtf8Lossy(run, true, &clean);
    EncodeRun(clean, &ids);
    run.clear();
  };
  for (size_t i = 0; i < segments.size();) {
    if (!segments[i].trusted) {
      run += segments[i++].text;
      continue;
    }
    std::string trusted;
    while (i < segments.size() && segments[i].trusted) trusted += segments[i++].text;
    for (size_t at = 0; at < trusted.size();) {
      const auto special = std::find_if(specials_.begin(), specials_.end(), [&](const auto& s) {
        return trusted.compare(at, s.first.size(), s.first) == 0;
      });
      if (special == specials_.end()) {
        run += trusted[at++];
        continue;
      }
      flush();
      ids.push_back(special->second);
      at += special->first.size();
    }
  }
  flush();
  return ids;
}

std::string Tokenizer::Decode(std::span<const TokenId> ids, bool with_special) const {
  std::string raw, out;
  for (const TokenId id : ids)
    if (with_special || !IsSpecial(id)) raw += TokenBytes(id);
  AppendUtf8Lossy(raw, true, &out);
  return out;
}

}  // namespace tokenworks::text
