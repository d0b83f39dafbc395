// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/filters.h"

#include <map>
#include <string_view>

namespace tokenworks::text::jinja {
namespace {

const std::map<std::string_view, FilterFunction>& Filters() {
  static const std::map<std::string_view, FilterFunction> kFilters = [] {
    std::map<std::string_view, FilterFunction> all;
    for (const NamedFilter* table : {kTextFilters, kNumberFilters, kSequenceFilters, kSelectionFilters})
      for (; table->name != nullptr; ++table) all[table->name] = table->function;
    return all;
  }();
  return kFilters;
}

constexpr std::string_view kUnsupported[] = {"filesizeformat", "forceescape", "pprint",   "random", "striptags",
                                             "urlencode",      "urlize",      "wordwrap", "xmlattr"};

}  // namespace

bool FilterExists(const std::string& name) { return Filters().contains(name); }

Value ApplyFilter(Runtime& runtime, const std::string& name, const Value& value, const Arguments& arguments) {
  const auto it = Filters().find(name);
  if (it != Filters().end()) return it->second(runtime, value, arguments);
  for (const std::string_view known : kUnsupported)
    if (name == known) throw UnsupportedFeature("the filter '" + name + "'");
  throw TemplateError("unknown filter '" + name + "'");
}

}  // namespace tokenworks::text::jinja
