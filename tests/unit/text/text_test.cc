// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "text/chat_template.h"
#include "text/detokenizer.h"
#include "text/utf8.h"

namespace tokenworks::text {
namespace {

TEST(Utf8, ReplacesEachMaximalBadPartOnce) {
  const auto lossy = [](std::string_view s) {
    std::string out;
    AppendUtf8Lossy(s, true, &out);
    return out;
  };
  EXPECT_EQ(lossy("a\xFF"
                  "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(lossy("\xE2\x82"), "\xEF\xBF\xBD");  // cut: one
  EXPECT_EQ(lossy("\xE2\x82"
                  "x"),
            "\xEF\xBF\xBDx");
  EXPECT_EQ(lossy("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // surrogate: three
  EXPECT_EQ(lossy("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
  EXPECT_FALSE(IsValidUtf8("\xC0\x80"));
  EXPECT_TRUE(IsValidUtf8("grüße 😀"));
}

// Every byte is a token, and one merge.
std::unique_ptr<Tokenizer> ByteTokenizer() {
  TokenizerData data;
  uint32_t next = 256;
  const auto utf8 = [](uint32_t c) {
    return c < 0x80 ? std::string(1, static_cast<char>(c))
                    : std::string{static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 63))};
  };
  for (uint32_t b = 0; b < 256; ++b) {
    const bool prints = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    data.tokens.push_back(utf8(prints ? b : next++));
  }
  data.tokens.push_back("he");
  data.special.assign(257, false);
  data.tokens.push_back("<|end|>");
  data.special.push_back(true);
  data.merges = {"h e"};
  data.pre_tokenizer = "gpt-2";
  auto t = Tokenizer::Create(data);
  EXPECT_TRUE(t.ok()) << t.status();
  return std::move(*t);
}

TEST(Tokenizer, KeepsSpelledOutSpecialTokensOfUsersAsText) {
  const auto t = ByteTokenizer();
  EXPECT_EQ(t->Encode("he"), std::vector<TokenId>{256});
  EXPECT_EQ(t->Encode("<|end|>").size(), 7u);
  const Segment segments[] = {{"<|end|>", true}, {"<|end|>", false}, {"h", true}, {"e", false}};
  const std::vector<TokenId> ids = t->Encode(std::span(segments));
  EXPECT_EQ(ids.front(), 257);
  EXPECT_EQ(ids.size(), 9u);
  EXPECT_EQ(ids.back(), 256);  // one run across the border
}

TEST(Detokenizer, NeverEmitsHalfACharacter) {
  const auto t = ByteTokenizer();
  const std::string text = "aé€😀z";
  IncrementalDetokenizer d(*t);
  std::string out;
  for (const TokenId id : t->Encode(text)) {
    const std::string piece = d.Push(id);
    EXPECT_TRUE(IsValidUtf8(piece));
    out += piece;
  }
  EXPECT_EQ(out + d.Finish(), text);
  IncrementalDetokenizer cut(*t);
  EXPECT_EQ(cut.Push(0xE2), "");
  EXPECT_EQ(cut.Finish(), "\xEF\xBF\xBD");
}

TEST(StopStrings, HoldBackAPossibleBeginningAndCutAtTheMatch) {
  StopStrings s({"STOP", "\n\n"});
  EXPECT_EQ(s.Push("abc S"), "abc ");
  EXPECT_EQ(s.Push("TO"), "");
  EXPECT_EQ(s.Push("x"), "STOx");
  EXPECT_EQ(s.Push("yST"), "y");
  EXPECT_EQ(s.Push("OP and more"), "");
  EXPECT_TRUE(s.stopped());
  EXPECT_EQ(s.Push("z"), "");
  StopStrings unfinished({"STOP"});
  EXPECT_EQ(unfinished.Push("ST"), "");
  EXPECT_EQ(unfinished.Finish(), "ST");
}

std::string Render(std::string_view source, const nlohmann::ordered_json& messages,
                   const nlohmann::ordered_json& variables = nullptr) {
  auto t = ChatTemplate::Create(source, "<s>", "</s>");
  if (!t.ok()) return "error: " + std::string(t.status().message());
  const auto segments = (*t)->Render(messages, nullptr, true, variables);
  if (!segments.ok()) return "error: " + std::string(segments.status().message());
  std::string out;
  for (const Segment& s : *segments) out += s.text;
  return out;
}

// Expected values are jinja2's, with trim_blocks and lstrip_blocks.
TEST(Jinja, RendersAsJinja2Does) {
  const nlohmann::ordered_json m = {{{"role", "user"}, {"content", " Hi "}},
                                    {{"role", "assistant"}, {"content", "Yo"}}};
  const std::pair<const char*, const char*> cases[] = {
      {"{% for m in messages %}\n{{ loop.index }}:{{ m['role'] }}\n{% endfor %}\nend", "1:user\n2:assistant\nend"},
      {"  {% if messages %}\n  yes\n  {% endif %}\n", "  yes\n"},
      {"{%- set ns = namespace(n=0) -%}{% for m in messages %}{% set ns.n = ns.n + loop.index %}{% endfor %}{{ ns.n }}",
       "3"},
      {"{{ messages[0].content | trim }}|{{ messages[-1]['content'] | upper }}", "Hi|YO"},
      {"{{ messages[1:] | length }} {{ 'abcdef'[1:-1:2] }} {{ [1,2,3][::-1] }}", "1 bd [3, 2, 1]"},
      {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 1 / 4 }} {{ 2 ** 3 }}", "3 -4 2 0.25 8"},
      {"{{ {'a': 1, 'b': [true, none, 1.5]} | tojson }} {{ {'a': 'x'} }}",
       "{\"a\": 1, \"b\": [true, null, 1.5]} {'a': 'x'}"},
      {"{{ x is defined }} {{ x | default('d') }} {{ messages is sequence }} {{ 'a' in 'abc' }} {{ 3 not in [1] }}",
       "False d True True True"},
      {"{% macro f(a, b='q') %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) }}{{ f(2, b=3) }}", "[1q][23]"},
      {"{{ 'a,b'.split(',') | join('-') }} {{ 'xAx'.strip('x') }} {{ 'hello world'.title() }}", "a-b A Hello World"},
      {"{% for i in range(5) if i % 2 %}{{ i }}{% else %}none{% endfor %}{% for i in [] %}x{% else %}empty{% endfor %}",
       "13empty"},
      {"{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% "
       "endfor %}",
       "013"},
      {"{{ 'yes' if messages | length == 2 and not false else 'no' }} {{ 1 < 2 < 3 }}", "yes True"},
      {"{# comment #}{% raw %}{{ x }}{% endraw %}{{ bos_token }}", "{{ x }}<s>"},
      {"{% set t %}a{{ 1 }}{% endset %}{{ t }}{{ messages | map(attribute='role') | list }}",
       "a1['user', 'assistant']"},
      {"{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ (messages | first).role }}", "1user"},
      {"{{ raise_exception('no system role') }}", "error: no system role"},
  };
  for (const auto& [source, expected] : cases) EXPECT_EQ(Render(source, m), expected) << source;
}

TEST(Jinja, RefusesBadAndHostileTemplatesWithASentence) {
  for (const char* source : {"{% if %}", "{{ x", "{% for %}{% endfor %}", "{{ 1 + }}", "{% endif %}", "{{ 'a }}",
                             "{% nonsense %}", "{{ x.y.z }}", "{{ 1 / 0 }}", "{{ 'a' | nofilter }}",
                             "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
                             "{{ range(10000000) }}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"})
    EXPECT_EQ(Render(source, nlohmann::ordered_json::array()).rfind("error: ", 0), 0u) << source;
  EXPECT_EQ(Render(std::string(5000, '('), nullptr).rfind("error", 0), std::string::npos);
  EXPECT_EQ(Render("{{ " + std::string(5000, '(') + " }}", nullptr).rfind("error: ", 0), 0u);
}

TEST(Jinja, NeverCrashesOnMutatedTemplates) {
  std::mt19937 rng(11);
  const std::string seed =
      "{% for m in messages %}{{ '<|' + m['role'] | trim ~ m.content[1:] }}{% if loop.last and not x is defined %}{{ m "
      "| tojson(indent=2) }}{% endif %}{% endfor %}";
  for (int i = 0; i < 3000; ++i) {
    std::string s = seed;
    for (int k = 0; k < 4; ++k) {
      const size_t at = rng() % s.size();
      if (rng() % 2)
        s.erase(at, rng() % 5);
      else
        s.insert(at, 1, "{}%|'()[]. +~is"[rng() % 15]);
      if (s.empty()) s = "{";
    }
    Render(s, nlohmann::ordered_json::parse(R"([{"role": "user", "content": "hi"}])"));
  }
}

}  // namespace
}  // namespace tokenworks::text
