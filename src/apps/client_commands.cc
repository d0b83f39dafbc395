// SPDX-License-Identifier: Apache-2.0
// status, role, chat: commands that talk to a running cluster.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/cluster_options.h"
#include "apps/commands.h"
#include "apps/live_status.h"
#include "apps/local_http.h"
#include "launch/run_folder.h"
#include "platform/base/str_cat.h"

namespace tokenworks::apps {
namespace {

using base::StrCat;
using nlohmann::json;

constexpr auto kRedraw = std::chrono::seconds(1);

// The status object, or why there is none.
StatusOr<std::string> FetchStatus(const std::string& name) {
  const auto port = ClusterPort(name);
  if (!port.ok()) return absl::UnavailableError(port.status().message());
  TW_ASSIGN_OR_RETURN(const HttpAnswer answer, Http(*port, "GET", "/v1/cluster"));
  if (answer.status != 200 || !json::parse(answer.body, nullptr, false).is_object())
    return absl::InternalError("the cluster's status is not JSON");
  return answer.body;
}

// Redraws until the cluster ends.
int Watch(const std::string& name) {
  LiveStatus live;
  for (bool first = true;; first = false) {
    const auto status = FetchStatus(name);
    if (!status.ok()) return first ? Fail(status.status()) : 0;
    if (LiveStatus::Usable())
      live.Show(json::parse(*status), std::chrono::steady_clock::now());
    else
      std::printf("%s", StatusTable(json::parse(*status)).c_str()), std::fflush(stdout);
    std::this_thread::sleep_for(kRedraw);
  }
}

}  // namespace

int RunStatus(int argc, char** argv) {
  CLI::App app(
      "Show a cluster: workers, roles, queues, KV use.\n\nexamples:\n  tokenworks status\n  tokenworks status "
      "--watch\n  tokenworks status --json");
  std::string name = "local";
  bool as_json = false, watch = false;
  app.add_option("--name", name, "name of the cluster");
  app.add_flag("--json", as_json, "the object of GET /v1/cluster");
  app.add_flag("--watch", watch, "once a second until the cluster ends");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  if (watch) return Watch(name);
  const auto status = FetchStatus(name);
  if (!status.ok()) return Fail(status.status());
  std::printf("%s", as_json ? (*status + "\n").c_str() : StatusTable(json::parse(*status)).c_str());
  return 0;
}

int RunRole(int argc, char** argv) {
  CLI::App app("Change a worker's role at its next step.\n\nexample:\n  tokenworks role decode-0 mixed");
  std::string name = "local", worker, role;
  app.add_option("WORKER", worker, "the worker's id, as `status` shows it")->required();
  app.add_option("ROLE", role, "prefill, decode, mixed or parked")
      ->required()
      ->check(CLI::IsMember({"prefill", "decode", "mixed", "parked"}));
  app.add_option("--name", name, "name of the cluster");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const auto port = ClusterPort(name);
  if (!port.ok()) return Fail(port.status());
  const auto answer = Http(*port, "POST", "/v1/cluster/workers/" + worker + "/role", json{{"role", role}}.dump());
  if (!answer.ok()) return Fail(answer.status());
  if (answer->status != 200) {
    const json parsed = json::parse(answer->body, nullptr, false);
    return Fail(absl::InternalError(
        parsed.is_object() && parsed.contains("error") ? parsed["error"].value("message", "") : answer->body));
  }
  std::printf("%s is %s\n", worker.c_str(), role.c_str());
  return 0;
}

int RunChat(int argc, char** argv) {
  CLI::App app(
      "Talk to a cluster; starts one when none runs.\n\nexamples:\n  tokenworks chat \"What is a GPU?\"\n  tokenworks "
      "chat --system \"You answer in one sentence.\" --temperature 0");
  std::string name = "local", prompt, system;
  int max_tokens = 512;
  double temperature = 0.2;  // small models ramble at 1
  app.add_option("PROMPT", prompt, "one question; without it a conversation");
  app.add_option("--name", name, "name of the cluster")->capture_default_str();
  app.add_option("--max-tokens", max_tokens, "longest answer")->check(CLI::Range(1, 1 << 20));
  app.add_option("--temperature", temperature, "0 = always the likeliest token")
      ->check(CLI::Range(0.0, 2.0))
      ->capture_default_str();
  app.add_option("--system", system, "what the model is told to be; empty = its template's own");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  auto port = ClusterPort(name);
  if (!port.ok()) {
    std::fprintf(stderr, "%s: starting it in the background\n", launch::NoClusterRuns(name).c_str());
    std::string words[] = {"up", "--detach", "--name", name};
    std::vector<char*> up;
    for (std::string& w : words) up.push_back(w.data());
    if (const int code = RunUp(static_cast<int>(up.size()), up.data()); code != 0) return code;
    port = ClusterPort(name);
    if (!port.ok()) return Fail(port.status());
  }
  json messages = json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  while (true) {
    std::string line = prompt;
    if (prompt.empty()) {
      if (isatty(0)) std::printf("> "), std::fflush(stdout);
      if (!std::getline(std::cin, line)) return 0;
      if (line.empty()) continue;
    }
    messages.push_back({{"role", "user"}, {"content", line}});
    const json body = {{"model", "default"},
                       {"messages", messages},
                       {"stream", true},
                       {"max_tokens", max_tokens},
                       {"temperature", temperature}};
    std::string text, error;
    const auto answer = Http(*port, "POST", "/v1/chat/completions",
                             body.dump(-1, ' ', false, json::error_handler_t::replace), [&](const std::string& event) {
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
    if (answer->status != 200 && error.empty()) {
      const json refusal = json::parse(answer->body, nullptr, false);
      error = refusal.is_object() && refusal.contains("error") ? refusal["error"].value("message", "") : answer->body;
    }
    if (!error.empty()) return Fail(absl::InternalError(error));
    if (!prompt.empty()) return 0;
    messages.push_back({{"role", "assistant"}, {"content", text}});
  }
}

}  // namespace tokenworks::apps
