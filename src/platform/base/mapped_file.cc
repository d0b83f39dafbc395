// SPDX-License-Identifier: Apache-2.0
#include "platform/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "platform/base/unique_fd.h"

namespace tokenworks::base {

StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe without a writer must not wait
  if (!fd.valid()) {
    const int error = errno;
    const std::string message = "opening " + path + ": " + std::strerror(error);
    if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
    if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
    return absl::InternalError(message);
  }
  struct stat info;
  if (fstat(fd.get(), &info) != 0)
    return absl::InternalError("reading the size of " + path + ": " + std::strerror(errno));
  if (S_ISDIR(info.st_mode)) return absl::InvalidArgumentError(path + " is a folder; name a model file inside it");
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(path + " is not a regular file");
  if (info.st_size == 0) return absl::InvalidArgumentError(path + " is empty");
  void* data = mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) return absl::InternalError("mapping " + path + ": " + std::strerror(errno));
  return std::unique_ptr<MappedFile>(new MappedFile(path, static_cast<const std::byte*>(data), info.st_size));
}

MappedFile::~MappedFile() { munmap(const_cast<std::byte*>(data_), size_); }

}  // namespace tokenworks::base
