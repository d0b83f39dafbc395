// SPDX-License-Identifier: Apache-2.0
// status, logs, role, chat: commands that talk to a running cluster.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/cluster_options.h"
#include "apps/commands.h"
#include "apps/local_http.h"
#include "platform/base/str_cat.h"

namespace tokenworks::apps {
namespace {

using base::StrCat;
using nlohmann::json;

void PrintStatus(const json& s) {
  std::printf("model %s at %s, grpc %s\n", s.value("model", "").c_str(), s.value("http", "").c_str(), s.value("grpc", "").c_str());
  const json& r = s["requests"];
  std::printf("requests: %d received, %d active, %d completed, %d failed, %d cancelled, %d rejected\n", r.value("received", 0), r.value("active", 0), r.value("completed", 0),
              r.value("failed", 0), r.value("cancelled", 0), r.value("rejected", 0));
  std::printf("%-12s %-8s %-9s %7s %8s %8s %9s %9s %9s\n", "worker", "role", "state", "pid", "running", "waiting", "kv total", "kv free", "kv cached");
  for (const json& w : s["workers"])
    std::printf("%-12s %-8s %-9s %7d %8d %8d %9d %9d %9d\n", w.value("id", "").c_str(), w.value("role", "").c_str(), w.value("state", "").c_str(), w.value("pid", 0), w.value("running", 0),
                w.value("waiting", 0), w["kv"].value("total", 0), w["kv"].value("free", 0), w["kv"].value("cached", 0));
  const json& h = s["handoff"];
  std::printf("hand-off: %d started, %d completed, %d failed, %.1f MB\n", h.value("started", 0), h.value("completed", 0), h.value("failed", 0), h.value("bytes", 0.0) / 1e6);
}

}  // namespace

int RunStatus(int argc, char** argv) {
  CLI::App app("Show a cluster: workers, roles, queues, KV use.\n\nexamples:\n  tokenworks status\n  tokenworks status --json");
  std::string name = "local";
  bool as_json = false;
  app.add_option("--name", name, "name of the cluster");
  app.add_flag("--json", as_json, "the object of GET /v1/cluster");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const auto port = ClusterPort(name);
  if (!port.ok()) return Fail(absl::UnavailableError(port.status().message()));
  const auto answer = Http(*port, "GET", "/v1/cluster");
  if (!answer.ok()) return Fail(answer.status());
  if (as_json) return std::printf("%s\n", answer->body.c_str()), 0;
  const json parsed = json::parse(answer->body, nullptr, false);
  if (!parsed.is_object()) return Fail(absl::InternalError("the cluster's status is not JSON"));
  PrintStatus(parsed);
  return 0;
}

int RunLogs(int argc, char** argv) {
  CLI::App app("Show the logs of a cluster.\n\nexamples:\n  tokenworks logs\n  tokenworks logs decode-0");
  std::string name = "local", process;
  app.add_option("PROCESS", process, "router or a worker's id; all when left out");
  app.add_option("--name", name, "name of the cluster");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const launch::RunFolder folder = launch::RunFolder::Named(name);
  std::error_code error;
  std::vector<std::filesystem::path> logs;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path(), error))
    if (entry.path().extension() == ".log" && (process.empty() || entry.path().stem() == process)) logs.push_back(entry.path());
  if (logs.empty()) return Fail(absl::NotFoundError(StrCat("no logs of ", process.empty() ? "a cluster" : process, " in ", folder.path())));
  std::sort(logs.begin(), logs.end());
  for (const auto& path : logs) {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) std::printf("%-12s %s\n", path.stem().c_str(), line.c_str());
  }
  return 0;
}

int RunRole(int argc, char** argv) {
  CLI::App app("Change a worker's role at its next step.\n\nexample:\n  tokenworks role decode-0 mixed");
  std::string name = "local", worker, role;
  app.add_option("WORKER", worker, "the worker's id, as `status` shows it")->required();
  app.add_option("ROLE", role, "prefill, decode, mixed or parked")->required()->check(CLI::IsMember({"prefill", "decode", "mixed", "parked"}));
  app.add_option("--name", name, "name of the cluster");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const auto port = ClusterPort(name);
  if (!port.ok()) return Fail(port.status());
  const auto answer = Http(*port, "POST", "/v1/cluster/workers/" + worker + "/role", json{{"role", role}}.dump());
  if (!answer.ok()) return Fail(answer.status());
  if (answer->status != 200) {
    const json parsed = json::parse(answer->body, nullptr, false);
    return Fail(absl::InternalError(parsed.is_object() && parsed.contains("error") ? parsed["error"].value("message", "") : answer->body));
  }
  std::printf("%s is %s\n", worker.c_str(), role.c_str());
  return 0;
}

int RunChat(int argc, char** argv) {
  CLI::App app("Talk to a cluster; starts one when none runs.\n\nexamples:\n  tokenworks chat \"What is a GPU?\"\n  tokenworks chat");
  std::string name = "local", prompt;
  int max_tokens = 512;
  app.add_option("PROMPT", prompt, "one question; without it a conversation");
  app.add_option("--name", name, "name of the cluster");
  app.add_option("--max-tokens", max_tokens, "longest answer")->check(CLI::Range(1, 1 << 20));
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  auto port = ClusterPort(name);
  if (!port.ok()) {
    std::fprintf(stderr, "no cluster '%s' runs: starting one in the background\n", name.c_str());
    std::string words[] = {"up", "--detach", "--name", name};
    std::vector<char*> up;
    for (std::string& w : words) up.push_back(w.data());
    if (const int code = RunUp(static_cast<int>(up.size()), up.data()); code != 0) return code;
    port = ClusterPort(name);
    if (!port.ok()) return Fail(port.status());
  }
  json messages = json::array();
  while (true) {
    std::string line = prompt;
    if (prompt.empty()) {
      if (isatty(0)) std::printf("> "), std::fflush(stdout);
      if (!std::getline(std::cin, line)) return 0;
      if (line.empty()) continue;
    }
    messages.push_back({{"role", "user"}, {"content", line}});
    const json body = {{"model", "default"}, {"messages", messages}, {"stream", true}, {"max_tokens", max_tokens}};
    std::string text, error;
    const auto answer = Http(*port, "POST", "/v1/chat/completions", body.dump(-1, ' ', false, json::error_handler_t::replace), [&](const std::string& event) {
      if (event.rfind("data: {", 0) != 0) return;
      const json chunk = json::parse(event.substr(6), nullptr, false);
      if (chunk.contains("error")) error = chunk["error"].value("message", "");
      if (!chunk.contains("choices") || chunk["choices"].empty()) return;
      const json& delta = chunk["choices"][0]["delta"];
      if (!delta.contains("content") || !delta["content"].is_string()) return;
      const std::string piece = delta["content"].get<std::string>();
      text += piece;
      std::fputs(piece.c_str(), stdout);
      std::fflush(stdout);
    });
    std::printf("\n");
    if (!answer.ok()) return Fail(answer.status());
    if (answer->status != 200 || !error.empty()) return Fail(absl::InternalError(error.empty() ? answer->body : error));
    if (!prompt.empty()) return 0;
    messages.push_back({{"role", "assistant"}, {"content", text}});
  }
}

}  // namespace tokenworks::apps
