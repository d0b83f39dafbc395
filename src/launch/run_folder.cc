// SPDX-License-Identifier: Apache-2.0
#include "launch/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "platform/base/str_cat.h"

namespace tokenworks::launch {

namespace fs = std::filesystem;
using base::StrCat;

std::string HomeFolder() {
  if (const char* home = std::getenv("TOKENWORKS_HOME"); home && *home) return home;
  const char* user = std::getenv("HOME");
  return std::string(user && *user ? user : "/root") + "/.cache/tokenworks";
}

RunFolder RunFolder::Named(const std::string& cluster) { return RunFolder(HomeFolder() + "/run/" + cluster); }

Status RunFolder::Claim() {
  if (path_.size() > 80)
    return absl::InvalidArgumentError(
        StrCat("the run folder ", path_, " is too long for socket paths in it; set TOKENWORKS_HOME to a shorter path"));
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) return absl::PermissionDeniedError(StrCat("making ", path_, ": ", error.message()));
  fs::permissions(path_, fs::perms::owner_all, error);
  const int lock = open((path_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0)
    return absl::AlreadyExistsError(
        StrCat("a cluster already runs in ", path_, "; stop it with `down`, or use another --name"));
  for (const auto& entry : fs::directory_iterator(path_))
    if (entry.path().filename() != "lock" && entry.path().filename() != "up.log") fs::remove_all(entry.path(), error);
  const std::string pid = StrCat(getpid());
  if (ftruncate(lock, 0) != 0 || write(lock, pid.data(), pid.size()) < 0)
    return absl::InternalError(StrCat("writing ", path_, "/lock: ", std::strerror(errno)));
  return OkStatus();  // the descriptor stays open: the lock lives as long as the process
}

std::optional<int> RunFolder::Holder() const {
  const int lock = open((path_ + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (lock < 0) return std::nullopt;
  const bool held = flock(lock, LOCK_SH | LOCK_NB) != 0;
  char text[16] = {};
  const bool read_pid = read(lock, text, sizeof text - 1) > 0;
  close(lock);
  return held && read_pid ? std::optional<int>(std::atoi(text)) : std::nullopt;
}

Status RunFolder::Vacant() const {
  if (!Holder()) return OkStatus();
  const std::string name = fs::path(path_).filename();
  return absl::AlreadyExistsError(StrCat("a cluster '", name, "' already runs; stop it with `tokenworks down --name ",
                                         name, "`, or use another --name"));
}

Status RunFolder::Write(const std::string& file, const std::string& content) const {
  const std::string target = path_ + "/" + file, temporary = target + ".tmp";
  std::ofstream(temporary) << content;
  if (std::rename(temporary.c_str(), target.c_str()) != 0)
    return absl::InternalError(StrCat("writing ", target, ": ", std::strerror(errno)));
  return OkStatus();
}

StatusOr<std::string> RunFolder::Read(const std::string& file) const {
  std::ifstream in(path_ + "/" + file);
  if (!in) return absl::NotFoundError(StrCat("no ", file, " in ", path_));
  std::stringstream content;
  content << in.rdbuf();
  return content.str();
}

StatusOr<ClusterConfig> RunFolder::LoadConfig() const {
  TW_ASSIGN_OR_RETURN(const std::string text, Read("cluster.config"));
  ClusterConfig config;
  TW_RETURN_IF_ERROR(LoadText(text, config));
  return config;
}

void RunFolder::RemoveAll() const {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::vector<std::string> RunningClusters(const std::string& home) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(home + "/run", error))
    if (RunFolder(entry.path()).Holder()) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::string NoClusterRuns(const std::string& name, const std::string& home) {
  const std::vector<std::string> running = RunningClusters(home);
  std::string names;
  for (const std::string& other : running) names += (names.empty() ? "" : ", ") + other;
  return StrCat("no cluster '", name, "' runs",
                running.empty()
                    ? std::string()
                    : StrCat(" (", names, running.size() == 1 ? " does" : " do", ": --name ", running[0], ")"));
}

}  // namespace tokenworks::launch
