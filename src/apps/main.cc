// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstring>

#include "apps/commands.h"

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
    {"pull", "fetch a model into the cache", tokenworks::apps::RunPull},
    {"models", "list the cached models", tokenworks::apps::RunModels},
    {"check", "preflight: configuration, model, memory, ports", tokenworks::apps::RunCheck},
    {"worker", "a single worker of a cluster (started by up)", tokenworks::apps::RunWorker},
    {"router", "the router of a cluster (started by up)", tokenworks::apps::RunRouter},
};

int Usage(std::FILE* out) {
  std::fprintf(out, "tokenworks: a disaggregated LLM inference server\n\nusage: tokenworks COMMAND [options]; every command has --help\n\n");
  for (const Command& c : kCommands) std::fprintf(out, "  %-8s %s\n", c.name, c.about);
  return out == stdout ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return Usage(stderr);
  if (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0 || std::strcmp(argv[1], "help") == 0) return Usage(stdout);
  for (const Command& c : kCommands)
    if (std::strcmp(argv[1], c.name) == 0) return c.run(argc - 1, argv + 1);
  std::fprintf(stderr, "tokenworks: unknown command '%s'\n", argv[1]);
  return Usage(stderr);
}
