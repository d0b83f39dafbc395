// SPDX-License-Identifier: Apache-2.0
// Distinct types for the ids that cross module borders.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace tokenworks {

using TokenId = int32_t;
using BlockId = int32_t;       // index into one worker's KV pool
using WorkerId = std::string;  // "prefill-0"

// One process life of a worker; a restarted worker has another one. Never 0.
using Incarnation = uint64_t;
// Placement counter of one request; a message with an older epoch is dropped.
using Epoch = uint32_t;

// A client's request. Upper bits name the router instance, lower bits count.
struct RequestId {
  uint64_t value = 0;
  auto operator<=>(const RequestId&) const = default;
};

// One token stream inside a request: `index` is 0 .. n-1.
struct SequenceId {
  RequestId request;
  uint32_t index = 0;
  auto operator<=>(const SequenceId&) const = default;
};

}  // namespace tokenworks

template <>
struct std::hash<tokenworks::RequestId> {
  size_t operator()(const tokenworks::RequestId& id) const noexcept {
    return std::hash<uint64_t>()(id.value * 0x9E3779B97F4A7C15ull);
  }
};
template <>
struct std::hash<tokenworks::SequenceId> {
  size_t operator()(const tokenworks::SequenceId& id) const noexcept {
    return std::hash<uint64_t>()((id.request.value + id.index) * 0x9E3779B97F4A7C15ull);
  }
};
