// SPDX-License-Identifier: Apache-2.0
// Plain structs to bytes and back: fixed-width fields in order, lists behind their length. Both ends are of one build.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "tokenworks/status.h"

namespace tokenworks::base {

inline constexpr size_t kMaxMessageBytes = 64u << 20;

class Writer {
 public:
  static constexpr bool kReading = false;
  template <typename... T>
  void operator()(T&... fields) { (Field(fields), ...); }
  std::string Take() { return std::move(out_); }

  template <typename T>
  void Field(T& v) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) out_.append(reinterpret_cast<const char*>(&v), sizeof v);
    else Visit(*this, v);
  }
  void Field(std::string& s) {
    uint64_t n = s.size();
    Field(n);
    out_ += s;
  }
  template <typename T>
  void Field(std::vector<T>& v) {
    uint64_t n = v.size();
    Field(n);
    for (T& e : v) Field(e);
  }
  template <typename A, typename B>
  void Field(std::pair<A, B>& p) { (*this)(p.first, p.second); }
  template <typename T>
  void Field(std::optional<T>& v) {
    uint8_t has = v.has_value();
    Field(has);
    if (has) Field(*v);
  }
  void Field(Status& s) {
    int32_t code = s.raw_code();
    std::string message(s.message());
    (*this)(code, message);
  }

 private:
  std::string out_;
};

// Never reads beyond the message: a bad length makes ok() false and all further fields empty.
class Reader {
 public:
  static constexpr bool kReading = true;
  explicit Reader(std::string_view in) : in_(in) {}
  template <typename... T>
  void operator()(T&... fields) { (Field(fields), ...); }
  bool ok() const { return ok_; }

  template <typename T>
  void Field(T& v) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      if (in_.size() < sizeof v) return Bad();
      std::memcpy(&v, in_.data(), sizeof v);
      in_.remove_prefix(sizeof v);
    } else {
      Visit(*this, v);
    }
  }
  void Field(std::string& s) {
    const uint64_t n = Length();
    s.assign(in_.substr(0, n));
    in_.remove_prefix(n);
  }
  template <typename T>
  void Field(std::vector<T>& v) {
    const uint64_t n = Length();
    v.clear();
    for (uint64_t i = 0; i < n && ok_; ++i) Field(v.emplace_back());
  }
  template <typename A, typename B>
  void Field(std::pair<A, B>& p) { (*this)(p.first, p.second); }
  template <typename T>
  void Field(std::optional<T>& v) {
    uint8_t has = 0;
    Field(has);
    if (has) Field(v.emplace());
    else v.reset();
  }
  void Field(Status& s) {
    int32_t code = 0;
    std::string message;
    (*this)(code, message);
    s = Status(static_cast<StatusCode>(code), message);
  }

 private:
  void Bad() {
    ok_ = false;
    in_ = {};
  }
  uint64_t Length() {
    uint64_t n = 0;
    Field(n);
    if (n > in_.size()) {
      Bad();
      return 0;
    }
    return n;
  }
  std::string_view in_;
  bool ok_ = true;
};

template <typename T>
std::string Encode(T& value) {
  Writer w;
  w.Field(value);
  return w.Take();
}

// InvalidArgument for bytes that are no such message.
template <typename T>
StatusOr<T> Decode(std::string_view bytes) {
  T value{};
  Reader r(bytes);
  r.Field(value);
  if (!r.ok()) return absl::InvalidArgumentError("a message of another process is cut short");
  return value;
}

}  // namespace tokenworks::base
