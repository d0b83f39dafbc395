// SPDX-License-Identifier: Apache-2.0
#include "apps/live_status.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tokenworks::apps {
namespace {

using nlohmann::json;

template <typename... Args>
std::string Line(const char* format, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, format, args...);
  return text;
}

double GeneratedTokens(const json& status) {
  double sum = 0;
  for (const json& w : status["workers"]) sum += w.value("generation_tokens", 0.0);
  return sum;
}

// Lines that are wider than the terminal would wrap, and erasing would miss them.
std::string CutToWidth(const std::string& table) {
  winsize size{};
  const size_t width = ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  std::string out;
  for (size_t at = 0; at < table.size();) {
    const size_t end = std::min(table.find('\n', at), table.size());
    out += table.substr(at, std::min(end - at, width - 1)) + "\n";
    at = end + 1;
  }
  return out;
}

}  // namespace

std::string StatusTable(const json& s, double tokens_per_second) {
  std::string out = Line("model %s at %s, grpc %s\n", s.value("model", "").c_str(), s.value("http", "").c_str(),
                         s.value("grpc", "").c_str());
  const json& r = s["requests"];
  out += Line("requests: %d received, %d active, %d completed, %d failed, %d cancelled, %d rejected",
              r.value("received", 0), r.value("active", 0), r.value("completed", 0), r.value("failed", 0),
              r.value("cancelled", 0), r.value("rejected", 0));
  if (tokens_per_second >= 0) out += Line("; %.0f tokens/s", tokens_per_second);
  const json& workers = s["workers"];
  const bool restarted =
      std::any_of(workers.begin(), workers.end(), [](const json& w) { return w.value("restarts", 0) > 0; });
  out += Line("\n%-12s %-8s %-9s %7s %8s %8s %9s %9s %9s%s\n", "worker", "role", "state", "pid", "running", "waiting",
              "kv total", "kv free", "kv cached", restarted ? "  restarts" : "");
  for (const json& w : workers)
    out += Line("%-12s %-8s %-9s %7d %8d %8d %9d %9d %9d%s\n", w.value("id", "").c_str(), w.value("role", "").c_str(),
                w.value("state", "").c_str(), w.value("pid", 0), w.value("running", 0), w.value("waiting", 0),
                w["kv"].value("total", 0), w["kv"].value("free", 0), w["kv"].value("cached", 0),
                restarted ? Line("%10d", w.value("restarts", 0)).c_str() : "");
  const json& h = s["handoff"];
  out += Line("hand-off: %d started, %d completed, %d failed, %.1f MB\n", h.value("started", 0),
              h.value("completed", 0), h.value("failed", 0), h.value("bytes", 0.0) / 1e6);
  return out;
}

bool LiveStatus::Usable() {
  const char* term = std::getenv("TERM");
  return isatty(1) && term != nullptr && *term != 0 && std::strcmp(term, "dumb") != 0;
}

void LiveStatus::Erase() {
  const auto lines = std::count(table_.begin(), table_.end(), '\n');
  if (lines > 0) std::printf("\x1b[%ldA\r\x1b[J", static_cast<long>(lines));
  table_.clear();
}

void LiveStatus::Show(const json& status, std::chrono::steady_clock::time_point now) {
  const double tokens = GeneratedTokens(status), seconds = std::chrono::duration<double>(now - at_).count();
  const double rate = tokens_ < 0 || tokens < tokens_ ? 0 : (tokens - tokens_) / seconds;
  tokens_ = tokens;
  at_ = now;
  Erase();
  table_ = CutToWidth(StatusTable(status, rate));
  std::fputs(table_.c_str(), stdout);
  std::fflush(stdout);
}

void LiveStatus::Say(const std::string& line) {
  const std::string table = table_;
  Erase();
  std::printf("%s\n%s", line.c_str(), table.c_str());
  std::fflush(stdout);
  table_ = table;
}

void LiveStatus::Finish() { table_.clear(); }

}  // namespace tokenworks::apps
