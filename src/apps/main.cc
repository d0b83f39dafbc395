// SPDX-License-Identifier: Apache-2.0
#include <sys/prctl.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "launch/schema.h"

namespace {

struct Command {
  const char* name;
  const char* about;
  int (*run)(int, char**);
};

constexpr Command kCommands[] = {
    {"up", "start a cluster (default: 1 prefill + 1 decode worker on this CPU)", tokenworks::apps::RunUp},
    {"down", "stop a cluster", tokenworks::apps::RunDown},
    {"status", "show workers, roles, queues, KV use", tokenworks::apps::RunStatus},
    {"logs", "show the logs of a cluster", tokenworks::apps::RunLogs},
    {"role", "change a worker's role: prefill, decode, mixed, parked", tokenworks::apps::RunRole},
    {"chat", "talk to a running cluster, or start one", tokenworks::apps::RunChat},
    {"serve", "one process, aggregated", tokenworks::apps::RunServe},
    {"check", "preflight: configuration, model, memory, ports", tokenworks::apps::RunCheck},
    {"pull", "fetch a model into the cache", tokenworks::apps::RunPull},
    {"models", "list the cached models", tokenworks::apps::RunModels},
    {"router", "the router of a cluster (started by up)", tokenworks::apps::RunRouter},
    {"worker", "a single worker of a cluster (started by up)", tokenworks::apps::RunWorker},
};

int Usage(std::FILE* out) {
  std::fprintf(out,
               "tokenworks: a disaggregated LLM inference server\n\nusage: tokenworks COMMAND [options]; every command "
               "has --help\n\n");
  for (const Command& c : kCommands) std::fprintf(out, "  %-8s %s\n", c.name, c.about);
  std::fprintf(out, "\nto begin:\n  tokenworks up --detach\n  tokenworks chat \"What is the capital of France?\"\n");
  return out == stdout ? 0 : 2;
}

int UnknownCommand(const char* name) {
  std::vector<std::string> names;
  for (const Command& c : kCommands) names.push_back(c.name);
  const std::string nearest = tokenworks::launch::NearestName(name, names);
  std::fprintf(stderr, "tokenworks: unknown command '%s'%s; `tokenworks --help` lists all\n", name,
               nearest.empty() ? "" : (", did you mean " + nearest + "?").c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  prctl(PR_SET_NAME, "tokenworks");  // children are started as /proc/self/exe, and `ps` would show them as "exe"
  if (argc < 2) return Usage(stderr);
  if (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0 || std::strcmp(argv[1], "help") == 0)
    return Usage(stdout);
  if (std::strcmp(argv[1], "--version") == 0) return std::printf("tokenworks %s\n", tokenworks::apps::kVersion), 0;
  for (const Command& c : kCommands)
    if (std::strcmp(argv[1], c.name) == 0) return c.run(argc - 1, argv + 1);
  return UnknownCommand(argv[1]);
}
