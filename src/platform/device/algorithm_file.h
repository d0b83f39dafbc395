// SPDX-License-Identifier: Apache-2.0
// A table of tuned algorithms on disk, shared by the workers of a host and kept from start to start.
#pragma once

#include "platform/device/algorithm_table.h"

namespace tokenworks::device {

// Thread: one at a time. Any number of processes may have the same file: each save takes in what is there by then, and
// of two at the same instant the last one stays.
class AlgorithmFile {
 public:
  // Remembers for its own life.
  AlgorithmFile() = default;
  // Reads the subject's file in `folder`, which need not be there; an empty one keeps nothing.
  AlgorithmFile(std::string folder, TableSubject subject);

  // Why the file that is there was not believed (it counts as absent, and the next save replaces it); ok otherwise.
  const Status& refused() const { return refused_; }

  // Null for a shape that is not known.
  const TunedAlgorithm* Find(const GemmShape& shape) const;
  void Remember(const GemmShape& shape, const TunedAlgorithm& algorithm);
  // Writes what was remembered since the last save (nothing: no file is touched) under a temporary name, mode 0600, and
  // renames. PermissionDenied for a folder that cannot be made, Internal for a file that cannot be written.
  Status Save();

 private:
  std::string path() const { return folder_ + "/" + TableFileName(subject_); }

  std::string folder_;
  TableSubject subject_;
  Status refused_;
  AlgorithmTable table_;  // read and remembered
  AlgorithmTable unsaved_;
};

}  // namespace tokenworks::device
