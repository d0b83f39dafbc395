// SPDX-License-Identifier: Apache-2.0
// One function per subcommand; each returns the process's exit code: 0 done, 1 failed, 2 wrong usage or configuration.
#pragma once

namespace tokenworks::apps {

inline constexpr const char* kVersion = "0.1.0";

int RunUp(int argc, char** argv);
int RunDown(int argc, char** argv);
int RunStatus(int argc, char** argv);
int RunLogs(int argc, char** argv);
int RunRole(int argc, char** argv);
int RunChat(int argc, char** argv);
int RunServe(int argc, char** argv);
int RunPull(int argc, char** argv);
int RunModels(int argc, char** argv);
int RunCheck(int argc, char** argv);
int RunWorker(int argc, char** argv);
int RunRouter(int argc, char** argv);

}  // namespace tokenworks::apps
