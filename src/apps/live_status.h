// SPDX-License-Identifier: Apache-2.0
// A cluster's status as text, once or redrawn in place on a terminal.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

namespace tokenworks::apps {

// The object of GET /v1/cluster as a table; `tokens_per_second` below 0 is left out.
std::string StatusTable(const nlohmann::json& status, double tokens_per_second = -1);

// Redraws a table over the one before. Writes to stdout; one thread.
class LiveStatus {
 public:
  // A terminal that can move its cursor.
  static bool Usable();
  // Takes the status of now: the rate of generated tokens is that since the last call.
  void Show(const nlohmann::json& status, std::chrono::steady_clock::time_point now);
  // Prints a line above the table.
  void Say(const std::string& line);
  // Leaves the cursor below what was drawn.
  void Finish();

 private:
  void Erase();
  std::string table_;
  double tokens_ = -1;
  std::chrono::steady_clock::time_point at_;
};

}  // namespace tokenworks::apps
