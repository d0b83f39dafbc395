// SPDX-License-Identifier: Apache-2.0
// A file mapped read-only. It must not be cut while it is mapped (reading past its new end kills the process): replace
// it by renaming.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "tokenworks/status.h"

namespace tokenworks::base {

class MappedFile {
 public:
  // NotFound, PermissionDenied; InvalidArgument for a folder or an empty file.
  static StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  MappedFile(std::string path, const std::byte* data, size_t size) : path_(std::move(path)), data_(data), size_(size) {}
  std::string path_;
  const std::byte* data_;
  size_t size_;
};

}  // namespace tokenworks::base
