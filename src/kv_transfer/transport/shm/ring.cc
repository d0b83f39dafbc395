// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/transport/shm/ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform/base/str_cat.h"

namespace tokenworks::kv_transfer {

StatusOr<std::unique_ptr<Ring>> Ring::Make(uint64_t bytes) {
  base::UniqueFd fd(memfd_create("tokenworks-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
    return absl::ResourceExhaustedError(
        base::StrCat("making a hand-off ring of ", bytes >> 20, " MiB: ", std::strerror(errno)));
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED)
    return absl::ResourceExhaustedError(
        base::StrCat("mapping a hand-off ring of ", bytes >> 20, " MiB: ", std::strerror(errno)));
  return std::unique_ptr<Ring>(new Ring(std::move(fd), static_cast<std::byte*>(data), bytes));
}

StatusOr<std::unique_ptr<Ring>> Ring::Open(base::UniqueFd fd, uint64_t bytes) {
  struct stat info;
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (!fd.valid() || seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd.get(), &info) != 0 ||
      static_cast<uint64_t>(info.st_size) < bytes || bytes == 0)
    return absl::InvalidArgumentError("the peer's hand-off ring is not a sealed memory file of the size that it names");
  void* data = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED)
    return absl::ResourceExhaustedError(base::StrCat("mapping the peer's ring: ", std::strerror(errno)));
  return std::unique_ptr<Ring>(new Ring(std::move(fd), static_cast<std::byte*>(data), bytes));
}

Ring::~Ring() { munmap(data_, bytes_); }

std::optional<StagingSlot> Ring::TakeSlot(uint64_t bytes) {
  const auto offset = ranges_.Take(bytes);
  if (!offset) return std::nullopt;
  return StagingSlot{*offset, At(*offset, bytes)};
}

}  // namespace tokenworks::kv_transfer
