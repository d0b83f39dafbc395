// SPDX-License-Identifier: Apache-2.0
// Child processes of one cluster: started with posix_spawn of this binary, restarted when they die, stopped in order.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tokenworks/clock.h"
#include "tokenworks/status.h"

namespace tokenworks::launch {

// When a dead child starts again: at once, then after doubling pauses up to 5 s; a child that lived 30 s starts fresh.
class RestartPolicy {
 public:
  // Called at a death; returns when to start again.
  TimePoint Died(TimePoint started, TimePoint now) {
    pause_ = now - started > std::chrono::seconds(30)
                 ? Duration(0)
                 : std::min<Duration>(std::max<Duration>(pause_ * 2, std::chrono::milliseconds(100)),
                                      std::chrono::seconds(5));
    return now + pause_;
  }

 private:
  Duration pause_{0};
};

struct Child {
  std::string name;                    // of its log
  std::vector<std::string> arguments;  // after the binary's name
  std::string log;
  pid_t pid = -1;
  TimePoint started, start_at;
  RestartPolicy policy;
  int starts = 0;
};

struct Death {
  std::string name;
  std::string how;  // "signal 9, Killed" or "exit code 1"
  Duration pause;   // until it is started again
};

// Thread: one. Children get SIGTERM when this process dies however (they ask for it: DieWithParent).
class Supervisor {
 public:
  void Add(std::string name, std::vector<std::string> arguments, std::string log);
  // Starts what is due, reaps what has died. Returns the deaths since the last one.
  std::vector<Death> Tick(TimePoint now);
  // SIGTERM to all, SIGKILL after `patience`; returns when none is left.
  void StopAll(Duration patience);
  const std::vector<Child>& children() const { return children_; }

 private:
  Status Start(Child& child, TimePoint now);
  std::vector<Child> children_;
};

// Called first thing in a child: it gets SIGTERM when its parent goes.
void DieWithParent();

}  // namespace tokenworks::launch
