// SPDX-License-Identifier: Apache-2.0
// Options that several commands share: how a configuration is put together (default < file < environment < flags).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "launch/cluster_config.h"

namespace tokenworks::apps {

struct ClusterOptions {
  std::string file, name = "local";
  int port = -1;
  std::vector<std::string> sets;
  bool insecure = false, print_config = false;

  void AddTo(CLI::App& app, bool with_file);
  // The effective configuration. InvalidArgument or NotFound as a sentence.
  StatusOr<launch::ClusterConfig> Load(launch::ClusterConfig base) const;
};

// Parses; returns -1 to go on, else the exit code.
int Parse(CLI::App& app, int argc, char** argv);
// Prints the sentence and returns the exit code: 2 for usage and configuration, 1 otherwise.
int Fail(const Status& status);

}  // namespace tokenworks::apps
