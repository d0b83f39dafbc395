// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE. Special tokens are recognised in trusted text only, never in what a user wrote.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/pre_tokenizer.h"
#include "tokenworks/ids.h"
#include "tokenworks/status.h"

namespace tokenworks::text {

// What a model file says about its tokenizer.
struct TokenizerData {
  std::vector<std::string> tokens;  // in GPT-2's printable byte alphabet, special ones literally
  std::vector<bool> special;        // control and user-defined tokens
  std::vector<std::string> merges;  // "left right", best first
  std::string pre_tokenizer;
  TokenId bos = -1, eos = -1;
  bool add_bos = false;
};

// Text with its origin: only trusted text (a template's own) may hold special tokens.
struct Segment {
  std::string text;
  bool trusted = false;
};

// Immutable; safe from any thread.
class Tokenizer {
 public:
  // InvalidArgument names the token or merge that does not fit.
  static StatusOr<std::unique_ptr<Tokenizer>> Create(TokenizerData data);

  // Plain text (bytes that are not UTF-8 become U+FFFD first). Specials spelled out stay text.
  std::vector<TokenId> Encode(std::string_view text) const;
  // Text between two special tokens is one run, whoever wrote its parts.
  std::vector<TokenId> Encode(std::span<const Segment> segments) const;

  // Lossy text of ids; special tokens are left out unless asked for.
  std::string Decode(std::span<const TokenId> ids, bool with_special = false) const;
  // The raw bytes of one token; empty for an id outside the vocabulary.
  std::string_view TokenBytes(TokenId id) const {
    return id >= 0 && id < vocabulary() ? std::string_view(bytes_[id]) : std::string_view();
  }
  // Fewer tokens than so many never hold `bytes` of text.
  size_t FewestTokens(size_t bytes) const { return (bytes + longest_ - 1) / longest_; }
  bool IsSpecial(TokenId id) const { return id >= 0 && id < vocabulary() && special_[id]; }
  int vocabulary() const { return static_cast<int>(bytes_.size()); }
  TokenId bos() const { return bos_; }
  TokenId eos() const { return eos_; }
  bool add_bos() const { return add_bos_; }

 private:
  Tokenizer() = default;
  struct Merge {
    int rank;
    TokenId merged;
  };
  void EncodeRun(std::string_view text, std::vector<TokenId>* out) const;
  void EncodePiece(std::string_view piece, std::vector<TokenId>* out) const;
  const Merge* FindMerge(TokenId left, TokenId right) const;

  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::vector<std::string> bytes_;
  size_t longest_ = 1;  // of them
  std::vector<bool> special_;
  std::vector<std::pair<std::string, TokenId>> specials_;  // longest first
  std::unordered_map<uint64_t, Merge> merges_;
  TokenId byte_tokens_[256];  // -1 = the vocabulary has none: the byte is dropped
  TokenId bos_ = -1, eos_ = -1;
  bool add_bos_ = false;
};

}  // namespace tokenworks::text
