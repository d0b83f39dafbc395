// SPDX-License-Identifier: Apache-2.0
// One request as the router places it. It is complete: a worker can rebuild all state of a sequence
// from it (penalties, stops, noise), so nothing else is ever serialised.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tokenworks/clock.h"
#include "tokenworks/ids.h"
#include "tokenworks/sampling_params.h"

namespace tokenworks {

inline constexpr uint32_t kProtocolMin = 2;
inline constexpr uint32_t kProtocolMax = 2;
inline constexpr uint32_t kMaxSequences = 1024;  // n of one request, as a receiver accepts it

struct GenerationRequest {
  RequestId id;
  Epoch epoch = 0;
  std::string external_id;  // what the client sees: x-request-id
  std::string model;
  std::string adapter;
  std::string tenant;
  std::string cache_salt;  // seeds the block keys
  std::string session;
  int priority = 0;  // lower is served first
  TimePoint deadline = TimePoint::max();
  std::string trace_parent;  // W3C trace context

  std::vector<TokenId> prompt;  // never empty
  uint32_t n = 1;               // sequences that share the prompt
  // Tokens already emitted in earlier epochs, one list per sequence (empty, or n lists).
  std::vector<std::vector<TokenId>> emitted;
  SamplingParams sampling;
};

}  // namespace tokenworks
