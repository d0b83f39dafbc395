// SPDX-License-Identifier: Apache-2.0
#include "model_files/gguf.h"
#include "platform/base/str_cat.h"

namespace tokenworks::model_files {

bool GgufFile::Has(std::string_view key) const { return metadata_.contains(std::string(key)); }

StatusOr<const GgufValue*> GgufFile::Lookup(std::string_view key) const {
  const auto it = metadata_.find(std::string(key));
  if (it == metadata_.end()) return absl::NotFoundError(base::StrCat(path(), " has no metadata key ", key));
  return &it->second;
}

namespace {
Status WrongType(const std::string& path, std::string_view key, std::string_view wanted) {
  return absl::InvalidArgumentError(base::StrCat(path, ": metadata key ", key, " is not ", wanted));
}
}  // namespace

StatusOr<uint64_t> GgufFile::Unsigned(std::string_view key) const {
  TW_ASSIGN_OR_RETURN(const GgufValue* v, Lookup(key));
  if (const auto* u = std::get_if<uint64_t>(&v->value)) return *u;
  if (const auto* i = std::get_if<int64_t>(&v->value); i && *i >= 0) return static_cast<uint64_t>(*i);
  return WrongType(path(), key, "a number >= 0");
}

StatusOr<double> GgufFile::Float(std::string_view key) const {
  TW_ASSIGN_OR_RETURN(const GgufValue* v, Lookup(key));
  if (const auto* d = std::get_if<double>(&v->value)) return *d;
  return WrongType(path(), key, "a floating point number");
}

StatusOr<bool> GgufFile::Bool(std::string_view key) const {
  TW_ASSIGN_OR_RETURN(const GgufValue* v, Lookup(key));
  if (const auto* b = std::get_if<bool>(&v->value)) return *b;
  return WrongType(path(), key, "a boolean");
}

StatusOr<std::string> GgufFile::String(std::string_view key) const {
  TW_ASSIGN_OR_RETURN(const GgufValue* v, Lookup(key));
  if (const auto* s = std::get_if<std::string>(&v->value)) return *s;
  return WrongType(path(), key, "a string");
}

StatusOr<std::vector<std::string>> GgufFile::Strings(std::string_view key) const {
  TW_ASSIGN_OR_RETURN(const GgufValue* v, Lookup(key));
  const auto* array = std::get_if<GgufArray>(&v->value);
  if (array == nullptr) return WrongType(path(), key, "an array of strings");
  std::vector<std::string> out;
  out.reserve(array->size());
  for (const GgufValue& e : *array) {
    const auto* s = std::get_if<std::string>(&e.value);
    if (s == nullptr) return WrongType(path(), key, "an array of strings");
    out.push_back(*s);
  }
  return out;
}

StatusOr<std::vector<int64_t>> GgufFile::Integers(std::string_view key) const {
  TW_ASSIGN_OR_RETURN(const GgufValue* v, Lookup(key));
  const auto* array = std::get_if<GgufArray>(&v->value);
  if (array == nullptr) return WrongType(path(), key, "an array of numbers");
  std::vector<int64_t> out;
  out.reserve(array->size());
  for (const GgufValue& e : *array) {
    if (const auto* i = std::get_if<int64_t>(&e.value))
      out.push_back(*i);
    else if (const auto* u = std::get_if<uint64_t>(&e.value))
      out.push_back(static_cast<int64_t>(*u));
    else
      return WrongType(path(), key, "an array of numbers");
  }
  return out;
}

}  // namespace tokenworks::model_files
