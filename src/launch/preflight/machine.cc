// SPDX-License-Identifier: Apache-2.0
#include "launch/preflight/machine.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "launch/run_folder.h"
#include "platform/base/str_cat.h"
#include "platform/base/unique_fd.h"

namespace tokenworks::launch {
namespace {

namespace fs = std::filesystem;
using base::StrCat;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

// The process that listens on a TCP port of this host, where /proc shows it.
std::string Holder(int port) {
  char wanted[16];
  std::snprintf(wanted, sizeof wanted, ":%04X", static_cast<unsigned>(port));
  std::string inode;
  std::istringstream table(ReadAll("/proc/net/tcp") + ReadAll("/proc/net/tcp6"));
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string slot, local, remote, state, skip, node;
    words >> slot >> local >> remote >> state >> skip >> skip >> skip >> skip >> skip >> node;
    if (state == "0A" && local.ends_with(wanted)) inode = "socket:[" + node + "]";
  }
  if (inode.empty()) return "";
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string pid = process.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    for (const auto& fd : fs::directory_iterator(process.path() / "fd", error))
      if (fs::read_symlink(fd.path(), error) == inode) {
        std::string name = ReadAll(process.path() / "comm");
        while (!name.empty() && name.back() == '\n') name.pop_back();
        return StrCat(name, " (process ", pid, ")");
      }
  }
  return "";
}

// Why files cannot be made in a folder that exists or will be made; empty = they can.
std::string CannotWrite(fs::path folder) {
  std::error_code error;
  folder = fs::absolute(folder, error);
  while (!folder.empty() && !fs::exists(folder, error) && folder != folder.root_path()) folder = folder.parent_path();
  if (!fs::is_directory(folder, error)) return StrCat(folder.string(), " is not a folder");
  return access(folder.c_str(), W_OK | X_OK) == 0 ? "" : StrCat(folder.string(), ": ", std::strerror(errno));
}

}  // namespace

PortFacts ProbePort(std::string key, std::string host, int port) {
  PortFacts facts{std::move(key), std::move(host), port, "", ""};
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  const std::string numeric = facts.host == "localhost" ? "127.0.0.1" : facts.host;
  if (getaddrinfo(numeric.c_str(), StrCat(port).c_str(), &hints, &found) != 0) {
    facts.problem = StrCat("'", facts.host, "' is no IP address");
    return facts;
  }
  const base::UniqueFd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(fd.get(), 1) != 0) {
    facts.problem = errno == EADDRINUSE ? "the port is in use" : std::strerror(errno);
    if (errno == EADDRINUSE) facts.holder = Holder(port);
  }
  freeaddrinfo(found);
  return facts;
}

uint64_t AvailableBytes(const std::string& meminfo, const std::string& group_limit, const std::string& group_used) {
  const size_t at = meminfo.find("MemAvailable:");
  const uint64_t machine = at == std::string::npos ? 0 : std::strtoull(meminfo.c_str() + at + 13, nullptr, 10) << 10;
  char* end = nullptr;
  const uint64_t limit = std::strtoull(group_limit.c_str(), &end, 10);  // "max": no limit
  if (end == group_limit.c_str()) return machine;
  const uint64_t used = std::strtoull(group_used.c_str(), nullptr, 10), group = limit > used ? limit - used : 0;
  return machine == 0 ? group : std::min(machine, group);
}

MachineFacts ProbeMachine(const ClusterConfig& config, const std::string& run_folder) {
  MachineFacts m;
  m.total_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
  m.available_bytes = AvailableBytes(ReadAll("/proc/meminfo"), ReadAll("/sys/fs/cgroup/memory.max"),
                                     ReadAll("/sys/fs/cgroup/memory.current"));
  if (m.available_bytes == 0) m.available_bytes = m.total_bytes;
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) m.open_files_max = files.rlim_cur;
  const base::UniqueFd probe(memfd_create("tokenworks-preflight", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (probe.get() < 0 || ftruncate(probe.get(), 4096) != 0)
    m.shared_memory_problem =
        StrCat("making anonymous shared memory (memfd): ", std::strerror(errno), "; hand-off over shm needs it");
  if (const std::string problem = CannotWrite(run_folder); !problem.empty())
    m.run_folder_problem = StrCat("the cluster's state goes to ", run_folder, ", which cannot be written: ", problem,
                                  "; set TOKENWORKS_HOME");
  else
    m.run_folder_problem = std::string(RunFolder(run_folder).Vacant().message());
  if (!config.step_log.empty())
    if (const std::string problem = CannotWrite(
            fs::path(config.step_log).parent_path().empty() ? "." : fs::path(config.step_log).parent_path());
        !problem.empty())
      m.step_log_problem = StrCat("engine.step_log ", config.step_log, " cannot be written: ", problem);
  return m;
}

}  // namespace tokenworks::launch
