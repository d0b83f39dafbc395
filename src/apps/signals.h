// SPDX-License-Identifier: Apache-2.0
// Serving processes end on SIGTERM or SIGINT.
#pragma once

#include <pthread.h>
#include <csignal>

namespace tokenworks::apps {

// Before any thread starts: the signals are left to WaitForStop.
inline void BlockStopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

inline void WaitForStop() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  int signal = 0;
  sigwait(&set, &signal);
}

}  // namespace tokenworks::apps
