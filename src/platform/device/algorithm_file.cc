// SPDX-License-Identifier: Apache-2.0
#include "platform/device/algorithm_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "platform/base/str_cat.h"
#include "platform/base/unique_fd.h"

namespace tokenworks::device {
namespace {

namespace fs = std::filesystem;
using base::StrCat;

// Empty when there is no file.
StatusOr<AlgorithmTable> ReadTable(const std::string& path, const TableSubject& subject) {
  std::error_code error;
  const fs::file_status file = fs::status(path, error);
  if (file.type() == fs::file_type::not_found) return AlgorithmTable();
  if (!fs::is_regular_file(file)) return absl::InvalidArgumentError(StrCat(path, " is no file"));
  std::ifstream in(path, std::ios::binary);
  std::string text(kTableBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.fail() && !in.eof())) return absl::InvalidArgumentError(StrCat(path, " cannot be read"));
  text.resize(static_cast<size_t>(in.gcount()));
  StatusOr<AlgorithmTable> table = ParseTable(text, subject);
  if (table.ok()) return table;
  return Status(table.status().code(), StrCat(path, ": ", std::string(table.status().message())));
}

Status WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::InternalError(std::strerror(errno));
    text.remove_prefix(static_cast<size_t>(n));
  }
  return OkStatus();
}

}  // namespace

AlgorithmFile::AlgorithmFile(std::string folder, TableSubject subject)
    : folder_(std::move(folder)), subject_(std::move(subject)) {
  if (folder_.empty()) return;
  StatusOr<AlgorithmTable> table = ReadTable(path(), subject_);
  refused_ = table.status();
  if (table.ok()) table_ = *std::move(table);
}

const TunedAlgorithm* AlgorithmFile::Find(const GemmShape& shape) const {
  const auto it = table_.find(shape);
  return it == table_.end() ? nullptr : &it->second;
}

void AlgorithmFile::Remember(const GemmShape& shape, const TunedAlgorithm& algorithm) {
  table_[shape] = algorithm;
  if (IsStorable(shape, algorithm) && unsaved_.size() < kAlgorithmsMax) unsaved_[shape] = algorithm;
}

Status AlgorithmFile::Save() {
  if (folder_.empty() || unsaved_.empty()) return OkStatus();
  std::error_code error;
  if (fs::create_directories(folder_, error)) fs::permissions(folder_, fs::perms::owner_all, error);
  if (error) return absl::PermissionDeniedError(StrCat("making the folder ", folder_, ": ", error.message()));
  AlgorithmTable all = unsaved_;
  if (const StatusOr<AlgorithmTable> there = ReadTable(path(), subject_); there.ok())
    for (const auto& [shape, algorithm] : *there)
      if (all.size() < kAlgorithmsMax) all.emplace(shape, algorithm);
  std::string temporary = path() + ".XXXXXX";
  base::UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));  // with mode 0600
  if (!fd.valid()) return absl::InternalError(StrCat("making ", temporary, ": ", std::strerror(errno)));
  Status written = WriteAll(fd.get(), PrintTable(subject_, all));
  fd.Reset();
  if (written.ok() && std::rename(temporary.c_str(), path().c_str()) != 0)
    written = absl::InternalError(std::strerror(errno));
  if (written.ok()) {
    unsaved_.clear();
    return OkStatus();
  }
  unlink(temporary.c_str());
  return absl::InternalError(StrCat("writing ", path(), ": ", std::string(written.message())));
}

}  // namespace tokenworks::device
