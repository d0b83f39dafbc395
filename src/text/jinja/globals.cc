// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/globals.h"

#include <ctime>

#include "text/jinja/iterate.h"
#include "text/jinja/print.h"
#include "text/jinja/runtime.h"

namespace tokenworks::text::jinja {
namespace {

Value StrftimeNow(Runtime& r, const Arguments& a) {
  const std::string& format = a.Need(0, "format").bytes();
  if (format.size() > 1000) throw TemplateError("a date format is too long");
  std::string buffer(64 * format.size() + 64, '\0');
  const size_t n = std::strftime(buffer.data(), buffer.size(), format.c_str(), &r.now());
  return Text(std::string_view(buffer).substr(0, n));
}

Value Range(Runtime& r, const Arguments& a) {
  if (a.positional.empty() || a.positional.size() > 3) throw TemplateError("range takes one to three arguments");
  int64_t start = 0, stop = a.positional[0].integer(), step = 1;
  if (a.positional.size() > 1) start = stop, stop = a.positional[1].integer();
  if (a.positional.size() > 2) step = a.positional[2].integer();
  if (step == 0) throw TemplateError("range with step 0");
  List out;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(out.size()) >= kMaxRange) throw TemplateError("range with more than 100000 elements");
    out.push_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  r.Work(out.size() * kElementWork);
  return Value(std::move(out), SequenceKind::kRange, RangeLabel(start, stop, step));
}

// The entries that dict() and namespace() are called with.
Dict Entries(Runtime& r, const Arguments& a) {
  const Value out{Dict{}};
  for (const Value& from : a.positional) {
    const List pairs = from.is_mapping() ? Items(r, from) : Iterate(r, from);
    r.Work(pairs.size() * pairs.size());
    for (const Value& pair : pairs) {
      const List entry = Iterate(r, pair);
      if (entry.size() != 2) throw TemplateError("dict needs pairs");
      out.Set(entry[0], entry[1]);
    }
  }
  for (const auto& [key, value] : a.named) out.Set(Text(key), value);
  return out.dict();
}

Value Joiner(Runtime&, const Arguments& a) {
  const Value* separator = a.Get(0, "sep");
  const Value between = separator ? *separator : Value(", ");
  const auto used = std::make_shared<bool>(false);
  return Function([between, used](Runtime&, const Arguments&) -> Value {
    return std::exchange(*used, true) ? between : Value("");
  });
}

// current, next() and reset().
Value Cycler(Runtime& r, const Arguments& a) {
  if (a.positional.empty()) throw TemplateError("cycler needs items");
  const Value ns = r.Namespace({});
  ns.Set("current", a.positional[0]);
  const auto at = std::make_shared<size_t>(0);
  const auto items = std::make_shared<List>(a.positional);
  ns.Set("next", Function([items, at, ns](Runtime&, const Arguments&) -> Value {
           const Value now = (*items)[*at];
           *at = (*at + 1) % items->size();
           ns.Set("current", (*items)[*at]);
           return now;
         }));
  ns.Set("reset", Function([items, at, ns](Runtime&, const Arguments&) -> Value {
           *at = 0;
           ns.Set("current", items->front());
           return None{};
         }));
  return ns;
}

}  // namespace

Value Global(const std::string& name) {
  if (name == "range") return Function(Range);
  if (name == "strftime_now") return Function(StrftimeNow);
  if (name == "dict") return Function([](Runtime& r, const Arguments& a) -> Value { return Value(Entries(r, a)); });
  if (name == "namespace")
    return Function([](Runtime& r, const Arguments& a) -> Value { return r.Namespace(Entries(r, a)); });
  if (name == "joiner") return Function(Joiner);
  if (name == "cycler") return Function(Cycler);
  if (name == "raise_exception")
    return Function([](Runtime& r, const Arguments& a) -> Value {
      const std::string reason = a.positional.empty() ? "" : ToText(r, a.positional[0]).bytes;
      throw TemplateError(reason.empty() || reason[0] == 0 ? "the template refuses" : reason);  // as what() reads it
    });
  if (name == "lipsum" || name == "self") throw UnsupportedFeature("'" + name + "'");
  return Undefined("'" + name + "' is undefined");
}

}  // namespace tokenworks::text::jinja
