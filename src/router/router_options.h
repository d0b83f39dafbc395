// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tokenworks/clock.h"
#include "tokenworks/ids.h"
#include "tokenworks/status.h"

namespace tokenworks::router {

enum class Disaggregate : uint8_t {
  kAlways,  // prefill and decode on workers of the two pools
  kNever,   // one worker does both
};

struct RouterOptions {
  std::string model;  // the name that answers to clients
  std::string policy = "least_loaded";
  Disaggregate disaggregate = Disaggregate::kAlways;
  int context_length = 0;                               // the model's; workers may lower it; 0 = only they decide
  int waiting_max = 512;                                // requests without a first token; over it ResourceExhausted
  Duration worker_wait_max = std::chrono::seconds(10);  // for a worker that is due back
  Duration role_wait_max = std::chrono::seconds(10);    // for a worker to report a role that it was told
};

// "always" or "never"; InvalidArgument otherwise ("auto" is named as not available yet).
StatusOr<Disaggregate> ParseDisaggregate(std::string_view name);

}  // namespace tokenworks::router
