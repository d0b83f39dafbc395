// SPDX-License-Identifier: Apache-2.0
// The tokenizer over any bytes: text comes back, never a special token, never half a character; stop strings hold back
// no more than they must.
#include <memory>

#include "fuzz_target.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

using namespace tokenworks;
using namespace tokenworks::text;

// A vocabulary of all bytes in GPT-2's alphabet, a few merges and two special tokens.
std::unique_ptr<Tokenizer> Make() {
  TokenizerData data;
  const auto printable = [](int byte) -> int {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  };
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const int point = printable(byte) ? byte : next++;
    data.tokens.push_back(
        point < 128 ? std::string(1, static_cast<char>(point))
                    : std::string{static_cast<char>(0xC0 | point >> 6), static_cast<char>(0x80 | (point & 63))});
  }
  for (const auto& [left, right] :
       {std::pair("a", "b"), {"ab", "c"}, {"t", "h"}, {"th", "e"}, {"\xC4\xA0", "the"}, {"0", "1"}}) {
    data.tokens.push_back(std::string(left) + right);
    data.merges.push_back(std::string(left) + " " + right);
  }
  data.tokens.insert(data.tokens.end(), {"<|im_start|>", "<|im_end|>"});
  data.special.assign(data.tokens.size(), false);
  data.special[data.tokens.size() - 1] = data.special[data.tokens.size() - 2] = true;
  data.pre_tokenizer = "smollm";
  auto made = Tokenizer::Create(std::move(data));
  FUZZ_EXPECT(made.ok());
  return std::move(*made);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<Tokenizer> tokenizer = Make();
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::vector<TokenId> ids = tokenizer->Encode(text);
  IncrementalDetokenizer detokenizer(*tokenizer);
  std::string back;
  for (const TokenId id : ids) {
    FUZZ_EXPECT(!tokenizer->IsSpecial(id));
    const std::string piece = detokenizer.Push(id);
    FUZZ_EXPECT(IsValidUtf8(piece));
    back += piece;
  }
  back += detokenizer.Finish();
  FUZZ_EXPECT(back == tokenizer->Decode(ids));
  if (IsValidUtf8(text)) FUZZ_EXPECT(back == text);
  // The same text in two pieces of trusted and untrusted origin; only the trusted one may hold specials.
  const size_t half = size / 2;
  const std::vector<Segment> segments = {{text.substr(0, half), true}, {text.substr(half), false}};
  (void)tokenizer->Encode(segments);
  // Stop strings: what comes out is a prefix, cut at the first stop.
  const std::string first = size > 3 ? text.substr(size / 3, 2) : "ab";
  StopStrings stops({first, "the end"});
  std::string sent;
  for (size_t i = 0; i < text.size() && !stops.stopped(); i += 3)
    sent += stops.Push(std::string_view(text).substr(i, 3));
  if (!stops.stopped()) sent += stops.Finish();
  FUZZ_EXPECT(text.compare(0, sent.size(), sent) == 0);
  FUZZ_EXPECT(stops.stopped() == (text.find(first) != std::string::npos || text.find("the end") != std::string::npos));
  return 0;
}

std::vector<std::string> Seeds() {
  return {"the cat abc",
          "<|im_start|>user\nHi<|im_end|>",
          "\xC3\xA9\xF0\x9F\x98\x80 caf\xC3\xA9 \xE2\x80\x8D",
          "  \n\n\t 012345 don't it's",
          std::string("\0\xff\xfe\xC3", 4),
          "\xED\xA0\x80\xF4\x90\x80\x80"};
}
