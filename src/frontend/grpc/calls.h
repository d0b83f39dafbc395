// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "tokenworks/ids.h"

namespace tokenworks::grpc_frontend {

// The calls under way by the id that clients know. Any thread.
class Calls {
 public:
  // False when a call of this name is under way.
  bool Add(const std::string& name) {
    std::lock_guard lock(mutex_);
    return by_name_.emplace(name, std::nullopt).second;
  }
  void Set(const std::string& name, RequestId id) {
    std::lock_guard lock(mutex_);
    by_name_[name] = id;
  }
  void Remove(const std::string& name) {
    std::lock_guard lock(mutex_);
    by_name_.erase(name);
  }
  std::optional<RequestId> Find(const std::string& name) {
    std::lock_guard lock(mutex_);
    const auto it = by_name_.find(name);
    return it == by_name_.end() ? std::nullopt : it->second;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::optional<RequestId>> by_name_;  // empty: not submitted yet
};

}  // namespace tokenworks::grpc_frontend
