// SPDX-License-Identifier: Apache-2.0
#include "launch/supervisor.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "platform/base/str_cat.h"

extern char** environ;

namespace tokenworks::launch {

void DieWithParent() { prctl(PR_SET_PDEATHSIG, SIGTERM); }

void Supervisor::Add(std::string name, std::vector<std::string> arguments, std::string log) {
  Child child;
  child.name = std::move(name);
  child.arguments = std::move(arguments);
  child.log = std::move(log);
  children_.push_back(std::move(child));
}

Status Supervisor::Start(Child& child, TimePoint now) {
  std::vector<std::string> words = {"tokenworks"};
  words.insert(words.end(), child.arguments.begin(), child.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, child.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);  // Ctrl-C reaches `up` alone, which stops its children in order
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  const int error = posix_spawn(&child.pid, "/proc/self/exe", &files, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  child.started = now;
  ++child.starts;
  if (error == 0) return OkStatus();
  child.pid = -1;
  return absl::InternalError(base::StrCat("starting ", child.name, ": ", std::strerror(error)));
}

namespace {

std::string HowItEnded(int status) {
  if (!WIFSIGNALED(status)) return base::StrCat("exit code ", WEXITSTATUS(status));
  const char* name = sigdescr_np(WTERMSIG(status));
  return base::StrCat("signal ", WTERMSIG(status), name ? base::StrCat(", ", name) : std::string());
}

}  // namespace

std::vector<Death> Supervisor::Tick(TimePoint now) {
  std::vector<Death> died;
  for (Child& child : children_) {
    int status = 0;
    if (child.pid > 0 && waitpid(child.pid, &status, WNOHANG) == child.pid) {
      child.pid = -1;
      child.start_at = child.policy.Died(child.started, now);
      died.push_back({child.name, HowItEnded(status), child.start_at - now});
    }
    if (child.pid < 0 && now >= child.start_at && !Start(child, now).ok())
      child.start_at = child.policy.Died(child.started, now);
  }
  return died;
}

void Supervisor::StopAll(Duration patience) {
  for (const Child& child : children_)
    if (child.pid > 0) kill(child.pid, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  bool killed = false;
  while (true) {
    bool any = false;
    for (Child& child : children_) {
      if (child.pid > 0 && waitpid(child.pid, nullptr, WNOHANG) == child.pid) child.pid = -1;
      any |= child.pid > 0;
    }
    if (!any) return;
    if (!killed && std::chrono::steady_clock::now() > deadline) {
      killed = true;
      for (const Child& child : children_)
        if (child.pid > 0) kill(child.pid, SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace tokenworks::launch
