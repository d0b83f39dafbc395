// SPDX-License-Identifier: Apache-2.0
// A hostile template ends in an error: no hang, no overflow of the stack, no memory without bound.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "text/chat_template.h"

namespace tokenworks::text {
namespace {

struct Result {
  absl::Status status;
  std::string text;
};

Result Render(const std::string& source, const nlohmann::ordered_json& messages = nlohmann::ordered_json::array()) {
  const auto t = ChatTemplate::Create(source, "<s>", "</s>");
  if (!t.ok()) return {t.status(), ""};
  const auto segments = (*t)->Render(messages, nullptr, true, nullptr);
  if (!segments.ok()) return {segments.status(), ""};
  std::string text;
  for (const Segment& s : *segments) text += s.text;
  return {absl::OkStatus(), text};
}

std::string Repeated(const std::string& s, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += s;
  return out;
}

void ExpectRefused(const std::string& source, const char* why) {
  const Result r = Render(source);
  EXPECT_EQ(r.status.code(), absl::StatusCode::kInvalidArgument) << source.substr(0, 80);
  EXPECT_NE(std::string(r.status.message()).find(why), std::string::npos)
      << source.substr(0, 80) << ": " << r.status.message();
}

TEST(TemplateBounds, Loops) {
  ExpectRefused("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "too");
  ExpectRefused("{% for i in range(100001) %}{% endfor %}", "100000 elements");
  EXPECT_TRUE(Render("{% for i in range(100000) %}{% endfor %}").status.ok());
  ExpectRefused("{% macro f() %}{% for i in range(99999) %}{{ f() }}{% endfor %}{% endmacro %}{{ f() }}", "too");
}

TEST(TemplateBounds, Recursion) {
  ExpectRefused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too deeply");
  ExpectRefused("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "too deeply");
  ExpectRefused(
      "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{{ caller is defined }}{% endmacro %}{{ f() }}",
      "too deeply");
  EXPECT_EQ(Render("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}.{% endmacro %}{{ f(40) }}").text,
            std::string(41, '.'));
}

TEST(TemplateBounds, DepthOfTheSource) {
  for (const std::string& source :
       {"{{ " + std::string(50000, '(') + " }}", "{{ " + Repeated("not ", 50000) + "x }}", "{{ " + Repeated("[", 50000),
        "{{ x" + Repeated(".a", 50000) + " }}", "{{ 1" + Repeated(" + 1", 50000) + " }}",
        "{{ x" + Repeated(" | trim", 50000) + " }}", "{{ x" + Repeated("()", 50000) + " }}",
        "{{ " + Repeated("-", 50000) + "1 }}", Repeated("{% if x %}", 50000), Repeated("{% for i in x %}", 50000),
        "{{ 1" + Repeated(" if 1 else 2", 50000) + " }}", "{% for " + Repeated("(", 50000) + " in x %}{% endfor %}"})
    EXPECT_EQ(Render(source).status.code(), absl::StatusCode::kInvalidArgument) << source.substr(0, 40);
  EXPECT_EQ(Render("{% if no %}" + Repeated("{% elif no %}a", 100) + "{% else %}b{% endif %}").text, "b");
  EXPECT_EQ(Render("{{ ''" + Repeated(" ~ 'x'", 120) + " }}").text, std::string(120, 'x'));
}

TEST(TemplateBounds, SizeOfTextAndLists) {
  ExpectRefused(
      "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "too much work");
  ExpectRefused("{% set ns = namespace(l=[1, 2]) %}{% for i in range(64) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
                "too much work");
  ExpectRefused("{% for i in range(100000) %}" + std::string(4096, 'x') + "{% endfor %}", "too large");
  for (const char* source :
       {"{{ 'x' * 9000000000000 }}", "{{ [1] * 9000000000 }}", "{{ 'x' | center(9000000000) }}",
        "{{ 'a\nb' | indent(9000000000) }}", "{{ 'x'.ljust(9000000000) }}", "{{ 'x'.zfill(9000000000) }}",
        "{{ [[]] | tojson(indent=9000000000) }}", "{{ [1] | batch(9000000000, 1) | list }}",
        "{{ [1] | slice(9000000000) | list }}", "{{ '\t'.expandtabs(9000000000) }}",
        "{% set s = 'a' * 100000 %}{{ s | replace('', s) }}", "{% set s = 'a' * 100000 %}{{ s.join(s) }}"})
    ExpectRefused(source, "too");
  ExpectRefused("{{ '%9000000000d' % 1 }}", "too wide");
  ExpectRefused("{{ '{:9000000000}'.format(1) }}", "too wide");
}

TEST(TemplateBounds, SharedAndCyclicValues) {
  const std::string twice =
      "{% set ns = namespace(a=[], b=[]) %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, "
      "ns.b] %}{% endfor %}";
  ExpectRefused(twice + "{{ ns.a }}", "too");
  ExpectRefused(twice + "{{ ns.a | tojson }}", "too");
  ExpectRefused(twice + "{{ ns.a == ns.b }}", "too much work");
  ExpectRefused(twice + "{{ ns.a < ns.b }}", "too much work");
  ExpectRefused("{% set ns = namespace(a=1) %}{% for i in range(5000) %}{% set ns.a = [ns.a] %}{% endfor %}",
                "nested too deeply");
  ExpectRefused("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}", "too deeply");
  EXPECT_EQ(
      Render("{% set ns = namespace() %}{% set ns.me = [ns] %}{% macro m() %}{% endmacro %}{% set ns.m = m %}ok").text,
      "ok");
}

TEST(TemplateBounds, SearchesInLongLists) {
  ExpectRefused("{% set l = range(99999) | list %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}",
                "too much work");
  ExpectRefused("{{ range(99999) | unique | list | length }}", "too much work");
}

TEST(TemplateBounds, UnsupportedFeaturesAreNamed) {
  for (const auto& [source, feature] :
       std::initializer_list<std::pair<const char*, const char*>>{{"{% include 'a' %}", "'include'"},
                                                                  {"{{ 'a' | urlize }}", "'urlize'"},
                                                                  {"{{ 'a'.encode() }}", "'encode'"},
                                                                  {"{{ lipsum() }}", "'lipsum'"}}) {
    const Result r = Render(source);
    EXPECT_EQ(r.status.code(), absl::StatusCode::kUnimplemented) << source;
    EXPECT_NE(std::string(r.status.message()).find(feature), std::string::npos) << r.status.message();
  }
}

}  // namespace
}  // namespace tokenworks::text
