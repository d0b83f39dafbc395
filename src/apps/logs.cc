// SPDX-License-Identifier: Apache-2.0
// logs: what a cluster's processes wrote.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "apps/cluster_options.h"
#include "apps/commands.h"
#include "launch/run_folder.h"
#include "platform/base/str_cat.h"

namespace tokenworks::apps {
namespace {

namespace fs = std::filesystem;
using base::StrCat;

constexpr auto kPoll = std::chrono::milliseconds(100);

std::vector<fs::path> LogFiles(const launch::RunFolder& folder, const std::string& process) {
  std::vector<fs::path> logs;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder.path(), error))
    if (entry.path().extension() == ".log" && (process.empty() || entry.path().stem() == process))
      logs.push_back(entry.path());
  std::sort(logs.begin(), logs.end());
  return logs;
}

// Prints whole lines of a log from an offset on, the last `most` of them; returns the offset after them.
std::streamoff PrintFrom(const fs::path& path, std::streamoff offset, size_t most) {
  std::ifstream in(path);
  in.seekg(offset);
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line) && !in.eof();) {
    offset = in.tellg();
    lines.push_back(line);
    if (lines.size() > most) lines.pop_front();
  }
  for (const std::string& line : lines) std::printf("%-12s %s\n", path.stem().c_str(), line.c_str());
  return offset;
}

}  // namespace

int RunLogs(int argc, char** argv) {
  CLI::App app(
      "Show the logs of a cluster.\n\nexamples:\n  tokenworks logs\n  tokenworks logs decode-0 -n 20\n  tokenworks "
      "logs --follow");
  std::string name = "local", process;
  size_t lines = SIZE_MAX;
  bool follow = false;
  app.add_option("PROCESS", process, "up, router or a worker's id; all when left out");
  app.add_option("--name", name, "name of the cluster");
  app.add_option("-n,--lines", lines, "only the last lines of each log");
  app.add_flag("-f,--follow", follow, "go on until the cluster ends");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const launch::RunFolder folder = launch::RunFolder::Named(name);
  if (LogFiles(folder, process).empty()) {
    std::string known;
    for (const auto& path : LogFiles(folder, "")) known += StrCat(known.empty() ? "" : ", ", path.stem().string());
    return Fail(absl::NotFoundError(known.empty() ? StrCat("no logs of a cluster '", name, "' in ", folder.path(),
                                                           "; `tokenworks up --name ", name, "` starts one")
                                                  : StrCat("no log of '", process, "'; there are ", known)));
  }
  std::map<fs::path, std::streamoff> offsets;
  for (bool alive = true; alive; std::this_thread::sleep_for(kPoll)) {
    alive = follow && folder.Holder().has_value();
    for (const auto& path : LogFiles(folder, process)) {
      const auto at = offsets.try_emplace(path, 0);
      at.first->second = PrintFrom(path, at.first->second, at.second ? lines : SIZE_MAX);
    }
    std::fflush(stdout);
    if (!alive) break;
  }
  return 0;
}

}  // namespace tokenworks::apps
