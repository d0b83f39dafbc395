// SPDX-License-Identifier: Apache-2.0
// up: starts a cluster's processes and watches them; down: stops it.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/cluster_options.h"
#include "apps/commands.h"
#include "apps/gpus.h"
#include "apps/live_status.h"
#include "apps/local_http.h"
#include "apps/preflight.h"
#include "launch/run_folder.h"
#include "launch/schema.h"
#include "launch/supervisor.h"
#include "model_files/model_store.h"
#include "platform/base/str_cat.h"

extern char** environ;

namespace tokenworks::apps {
namespace {

using base::StrCat;

constexpr auto kReadyWithin = std::chrono::seconds(90);
constexpr auto kRedraw = std::chrono::milliseconds(500);
constexpr auto kStopPatience = std::chrono::seconds(10);

volatile std::sig_atomic_t stop_requested = 0;
void OnSignal(int) { stop_requested = 1; }

void Pause(std::chrono::milliseconds d) { std::this_thread::sleep_for(d); }

bool Ready(const launch::RunFolder& folder) {
  const auto text = folder.Read("router.json");
  if (!text.ok()) return false;
  const auto answer = Http(nlohmann::json::parse(*text, nullptr, false).value("http_port", 0), "GET", "/ready");
  return answer.ok() && answer->status == 200;
}

// A line with the time before it, as logs have it.
std::string Timed(const std::string& line) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%F %T ", &local);
  return text + line;
}

// The last lines of a log, for the reason of a failed start.
std::string Tail(const std::string& path) {
  std::ifstream in(path);
  std::string line, last;
  while (std::getline(in, line))
    if (!line.empty()) last = line;
  return last;
}

void AddChildren(const launch::ClusterConfig& config, const launch::HostGpus& gpus, const launch::RunFolder& folder,
                 launch::Supervisor& supervisor) {
  supervisor.Add("router", {"router", "--run", folder.path()}, folder.Log("router"));
  for (const launch::PlannedWorker& w : launch::PlanWorkers(config, gpus.usable.size())) {
    std::vector<std::string> words = {"worker", "--run", folder.path(), "--id", w.id, "--role", w.role};
    if (w.gpu >= 0) words.insert(words.end(), {"--gpu", gpus.usable[static_cast<size_t>(w.gpu)].uuid});
    supervisor.Add(w.id, std::move(words), folder.Log(w.id));
  }
}

Status WaitReady(const launch::RunFolder& folder, launch::Supervisor& supervisor) {
  const auto deadline = std::chrono::steady_clock::now() + kReadyWithin;
  int deaths = 0;
  while (!Ready(folder)) {
    if (stop_requested) return absl::CancelledError("stopped before the cluster was ready");
    for (const launch::Death& d : supervisor.Tick(std::chrono::steady_clock::now()))
      if (d.name == "router" || ++deaths >= 3)
        return absl::InternalError(StrCat(d.name, " died at start (", d.how, "): ", Tail(folder.Log(d.name))));
    if (std::chrono::steady_clock::now() > deadline)
      return absl::DeadlineExceededError(StrCat("not ready after 90 s; see the logs in ", folder.path()));
    Pause(std::chrono::milliseconds(20));
  }
  return OkStatus();
}

// Restarts what dies and, on a terminal, shows the cluster's life, until a signal.
void Watch(const launch::RunFolder& folder, launch::Supervisor& supervisor, int port) {
  LiveStatus live;
  const bool terminal = LiveStatus::Usable();
  auto next = std::chrono::steady_clock::now();
  while (!stop_requested) {
    const auto now = std::chrono::steady_clock::now();
    for (const launch::Death& d : supervisor.Tick(now))
      live.Say(Timed(StrCat(d.name, " died (", d.how, ") and is started again",
                            d.pause > Duration(0) ? StrCat(" in ", Milliseconds(d.pause) * 1e-3, " s") : std::string(),
                            "; its log: ", folder.Log(d.name))));
    if (terminal && now >= next) {
      next = now + kRedraw;
      const auto answer = Http(port, "GET", "/v1/cluster");
      const auto status = answer.ok() ? nlohmann::json::parse(answer->body, nullptr, false) : nlohmann::json();
      if (status.is_object()) live.Show(status, now);
    }
    Pause(std::chrono::milliseconds(50));
  }
  live.Finish();
}

std::string ReadyLine(const launch::ClusterConfig& config, const std::string& name, int port, Duration took,
                      bool detached) {
  char seconds[16];
  std::snprintf(seconds, sizeof seconds, "%.1f", Milliseconds(took) * 1e-3);
  return StrCat("ready in ", seconds, " s: http://", config.http_host, ":", port, "/v1 (stop with ",
                detached ? "" : "Ctrl-C or ", "`tokenworks down", name == "local" ? "" : " --name " + name, "`)");
}

// Runs the cluster until a signal. `detached`: its output is a log.
int Foreground(const launch::ClusterConfig& config, const launch::HostGpus& gpus, launch::RunFolder folder,
               bool detached) {
  if (const Status status = folder.Claim(); !status.ok()) return Fail(status);
  if (const Status status = folder.SaveConfig(config); !status.ok()) return Fail(status);
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  std::signal(SIGHUP, OnSignal);
  const auto began = std::chrono::steady_clock::now();
  launch::Supervisor supervisor;
  AddChildren(config, gpus, folder, supervisor);
  supervisor.Tick(began);
  const Status ready = WaitReady(folder, supervisor);
  if (!ready.ok()) {
    supervisor.StopAll(kStopPatience);
    const int code = Fail(ready);
    (void)folder.Write("failed", std::string(ready.message()));
    return code;
  }
  const std::string name = std::filesystem::path(folder.path()).filename();
  const int port = *ClusterPort(name);
  const std::string line = ReadyLine(config, name, port, std::chrono::steady_clock::now() - began, detached);
  std::printf("%s\n", (detached ? Timed(line) : line).c_str());
  std::fflush(stdout);
  (void)folder.Write("ready", line);
  Watch(folder, supervisor, port);
  std::printf("%s\n", Timed("stopping").c_str());
  supervisor.StopAll(kStopPatience);
  folder.RemoveAll();
  return 0;
}

// Starts the same `up` in a session of its own, waits for its word and passes it on.
int Detach(int argc, char** argv, const launch::RunFolder& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder.path(), error);
  std::filesystem::remove(folder.path() + "/ready", error);
  std::filesystem::remove(folder.path() + "/failed", error);
  std::vector<char*> words = {const_cast<char*>("tokenworks"), const_cast<char*>("up")};
  for (int i = 1; i < argc; ++i)
    words.push_back(std::string(argv[i]) == "--detach" ? const_cast<char*>("--detached") : argv[i]);
  words.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const std::string log = folder.path() + "/up.log";
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  const int spawned = posix_spawn(&pid, "/proc/self/exe", &files, &attributes, words.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (spawned != 0) return Fail(absl::InternalError("starting the cluster in the background failed"));
  while (true) {
    int status = 0;
    if (waitpid(pid, &status, WNOHANG) == pid) {
      std::fprintf(stderr, "%s\n", Tail(log).c_str());
      return WIFEXITED(status) && WEXITSTATUS(status) == 2 ? 2 : 1;
    }
    if (const auto line = folder.Read("ready"); line.ok()) return std::printf("%s\n", line->c_str()), 0;
    Pause(std::chrono::milliseconds(20));
  }
}

}  // namespace

int RunUp(int argc, char** argv) {
  CLI::App app(
      "Start a cluster and show its life until Ctrl-C.\n\nexamples:\n  tokenworks up\n  tokenworks up --detach --port "
      "9000\n  tokenworks up cluster.yaml --set pools.decode.replicas=2");
  ClusterOptions options;
  bool detach = false, detached = false, print_reference = false;
  options.AddTo(app, true);
  app.add_flag("--detach", detach, "return when the cluster is ready");
  app.add_flag("--detached", detached, "the process that --detach has started")->group("");  // not in --help
  app.add_flag("--print-reference", print_reference, "print a commented file with every key and stop");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  if (print_reference) return std::printf("%s", launch::ReferenceYaml().c_str()), 0;
  launch::HostGpus gpus;
  auto config = LoadCluster(options, &gpus);
  if (!config.ok()) return Fail(config.status());
  if (options.print_config) return std::printf("%s", launch::PrintConfig(*config).c_str()), 0;
  const launch::RunFolder folder = launch::RunFolder::Named(options.name);
  if (const Status vacant = folder.Vacant(); !vacant.ok()) return Fail(vacant);
  const auto path = model_files::ModelStore(launch::HomeFolder()).Pull(config->model, [](const std::string& what) {
    std::fprintf(stderr, "model: %s\n", what.c_str());
  });
  if (!path.ok()) return Fail(path.status());
  const auto findings = Preflight(*config, path, gpus, folder.path());
  if (const Status sound = launch::Errors(findings); !sound.ok()) return Fail(sound);
  for (const launch::Finding& f : findings)
    if (f.severity == launch::Severity::kWarning)
      std::fprintf(stderr, "warning: %s: %s\n", f.subject.c_str(), f.sentence.c_str());
  if (config->model_name.empty()) config->model_name = std::filesystem::path(*path).stem().string();
  config->model = std::filesystem::absolute(*path).string();
  return detach ? Detach(argc, argv, folder) : Foreground(*config, gpus, folder, detached);
}

int RunDown(int argc, char** argv) {
  CLI::App app("Stop a cluster.\n\nexample:\n  tokenworks down --name local");
  std::string name = "local";
  app.add_option("--name", name, "name of the cluster");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const launch::RunFolder folder = launch::RunFolder::Named(name);
  const auto holder = folder.Holder();
  if (!holder) return Fail(absl::UnavailableError(launch::NoClusterRuns(name)));
  kill(*holder, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + 2 * kStopPatience;
  while (folder.Holder()) {
    if (std::chrono::steady_clock::now() > deadline)
      return Fail(
          absl::DeadlineExceededError(StrCat("the cluster '", name, "' (process ", *holder, ") does not stop")));
    Pause(std::chrono::milliseconds(20));
  }
  std::printf("stopped\n");
  return 0;
}

}  // namespace tokenworks::apps
