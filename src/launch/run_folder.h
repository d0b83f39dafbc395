// SPDX-License-Identifier: Apache-2.0
// Where a running cluster keeps its state: $TOKENWORKS_HOME/run/NAME, mode 0700.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/cluster_config.h"
#include "tokenworks/status.h"

namespace tokenworks::launch {

// $TOKENWORKS_HOME, by default ~/.cache/tokenworks.
std::string HomeFolder();

class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  static RunFolder Named(const std::string& cluster);

  // Makes it, takes its lock for the life of this process and clears what an earlier cluster left. AlreadyExists when a
  // live cluster holds it; InvalidArgument when socket paths in it would be too long.
  Status Claim();
  // The `up` process that holds the lock, if any.
  std::optional<int> Holder() const;
  // AlreadyExists where a live cluster holds it: its name, and what to do.
  Status Vacant() const;

  const std::string& path() const { return path_; }
  std::string WorkerSocket(const std::string& worker) const { return path_ + "/w-" + worker + ".sock"; }
  std::string PeerSocket(const std::string& worker) const { return path_ + "/p-" + worker + ".sock"; }
  std::string Log(const std::string& process) const { return path_ + "/" + process + ".log"; }

  Status Write(const std::string& file, const std::string& content) const;
  StatusOr<std::string> Read(const std::string& file) const;
  Status SaveConfig(const ClusterConfig& config) const { return Write("cluster.config", PrintConfig(config)); }
  StatusOr<ClusterConfig> LoadConfig() const;
  void RemoveAll() const;

 private:
  std::string path_;
};

// Names of the clusters that run, in order.
std::vector<std::string> RunningClusters(const std::string& home = HomeFolder());
// "no cluster 'local' runs", and those that do.
std::string NoClusterRuns(const std::string& name, const std::string& home = HomeFolder());

}  // namespace tokenworks::launch
