// SPDX-License-Identifier: Apache-2.0
#include "apps/cluster_options.h"

#include <cstdio>
#include <cstdlib>

#include "platform/base/str_cat.h"

extern char** environ;

namespace tokenworks::apps {

void ClusterOptions::AddTo(CLI::App& app, bool with_file) {
  if (with_file)
    app.add_option("FILE", file,
                   "cluster YAML (default: 1 prefill + 1 decode worker on the CPU, or 1 mixed one on each GPU)");
  app.add_option("--name", name, "name of the cluster")->check([](const std::string& s) {
    return s.empty() || s.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
                            std::string::npos
               ? std::string("a name has letters, digits, - and _")
               : std::string();
  });
  app.add_option("--port", port, "HTTP port (0 = any free one)")->check(CLI::Range(0, 65535));
  app.add_option("--set", sets, "set one configuration key: --set pools.decode.threads=2");
  app.add_flag("--insecure", insecure, "allow a bind that is not loopback although there are no API keys");
  app.add_flag("--print-config", print_config, "print the effective configuration and stop");
}

StatusOr<launch::ClusterConfig> ClusterOptions::Load(launch::ClusterConfig config) const {
  if (!file.empty()) TW_RETURN_IF_ERROR(launch::LoadYaml(file, config));
  TW_RETURN_IF_ERROR(launch::LoadEnvironment(environ, config));
  for (const std::string& set : sets) {
    const size_t equals = set.find('=');
    if (equals == std::string::npos)
      return absl::InvalidArgumentError(base::StrCat("--set ", set, ": write key=value"));
    TW_RETURN_IF_ERROR(launch::SetKey(config, set.substr(0, equals), set.substr(equals + 1)));
  }
  if (port >= 0) config.http_port = port;
  if (insecure) config.insecure = true;
  TW_RETURN_IF_ERROR(launch::Validate(config));
  return config;
}

int Parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return -1;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
}

int Fail(const Status& status) {
  std::fprintf(stderr, "tokenworks: %s\n", std::string(status.message()).c_str());
  const bool usage = status.code() == StatusCode::kInvalidArgument || status.code() == StatusCode::kNotFound ||
                     status.code() == StatusCode::kUnimplemented;
  return usage ? 2 : 1;
}

}  // namespace tokenworks::apps
