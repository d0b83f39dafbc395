// SPDX-License-Identifier: Apache-2.0
#include "launch/preflight/preflight.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "launch/schema.h"
#include "platform/base/str_cat.h"
#include "tokenworks/kv_layout.h"

namespace tokenworks::launch {
namespace {

using base::StrCat;

// Activations, staging, tokenizer and libraries of one process, roughly.
constexpr uint64_t kProcessBytes = uint64_t{96} << 20;
// Beside requests: listeners, logs, worker streams.
constexpr uint64_t kSpareFiles = 64;

std::string Mebibytes(uint64_t bytes) { return StrCat((bytes + (1u << 20) - 1) >> 20, " MiB"); }

uint64_t KvBytes(const PoolConfig& pool, const Facts& facts) {
  return pool.kv_memory > 0 ? pool.kv_memory : facts.machine.kv_default_bytes;
}

Finding Model(const ClusterConfig& config, const ModelFacts& m) {
  if (!m.status.ok()) return {Severity::kError, "model", std::string(m.status.message())};
  if (config.context_length > m.context_length)
    return {Severity::kWarning, "model",
            StrCat("model.context_length ", config.context_length, " is more than ", m.path, " was made for; ",
                   m.context_length, " will be used")};
  return {
      Severity::kOk, "model",
      StrCat(m.name, ", context ", config.context_length > 0 ? config.context_length : m.context_length, ", ", m.path)};
}

Finding Memory(const ClusterConfig& config, const Facts& facts) {
  uint64_t kv = 0;
  uint64_t on_cpu = 0;
  for (const PoolConfig* pool : {&config.prefill, &config.decode, &config.mixed}) {
    if (pool->device != "cpu") continue;
    on_cpu += static_cast<uint64_t>(pool->replicas);
    kv += static_cast<uint64_t>(pool->replicas) * KvBytes(*pool, facts);
  }
  const uint64_t workers = PlanWorkers(config, 0).size(), weights = on_cpu * facts.model.weight_bytes,
                 processes = (workers + 1) * kProcessBytes;
  const uint64_t needed = weights + kv + processes;
  const std::string sum = StrCat("weights ", Mebibytes(weights), " + KV ", Mebibytes(kv), " + processes ",
                                 Mebibytes(processes), " = ", Mebibytes(needed), " for ", workers, " workers; ",
                                 Mebibytes(facts.machine.available_bytes), " are available");
  if (needed <= facts.machine.available_bytes) return {Severity::kOk, "memory", sum};
  return {Severity::kError, "memory", sum + "; lower pools.*.kv_memory or pools.*.replicas, or take a smaller model"};
}

// Requests longer than the smallest pool that must hold them are refused while serving: better known before.
Finding Context(const ClusterConfig& config, const Facts& facts) {
  const int wanted = config.context_length > 0 ? std::min(config.context_length, facts.model.context_length)
                                               : facts.model.context_length;
  uint64_t smallest = UINT64_MAX;
  std::string of;
  for (const auto& [name, pool] : {std::pair("prefill", &config.prefill), std::pair("decode", &config.decode),
                                   std::pair("mixed", &config.mixed)}) {
    const bool automatic_on_gpu = pool->device != "cpu" && pool->kv_memory == 0;
    if (pool->replicas == 0 || facts.model.kv_block_bytes == 0 || automatic_on_gpu) continue;
    const uint64_t blocks = KvBytes(*pool, facts) / facts.model.kv_block_bytes;
    if (blocks < smallest) smallest = blocks, of = name;
  }
  if (facts.model.kv_block_bytes == 0) return {Severity::kOk, "context", "not examined without a model"};
  if (of.empty()) return {Severity::kOk, "context", "KV memory is nine tenths of what each GPU has left"};
  if (smallest < 2)
    return {Severity::kError, "context",
            StrCat("pools.", of, ".kv_memory holds ", smallest, " blocks of ", facts.model.kv_block_bytes,
                   " bytes; a worker needs two or more: raise it")};
  const uint64_t positions = smallest * kBlockTokens;
  if (positions >= static_cast<uint64_t>(wanted))
    return {Severity::kOk, "context", StrCat("every pool holds a whole context of ", wanted, " tokens")};
  return {Severity::kWarning, "context",
          StrCat("a ", of, " worker's KV memory holds ", positions, " tokens, the model's context is ", wanted,
                 ": longer requests are refused; raise pools.", of, ".kv_memory or lower model.context_length")};
}

Finding Port(const PortFacts& p) {
  const std::string address = StrCat(p.host, ":", p.port);
  if (p.problem.empty())
    return {Severity::kOk, p.key, p.port == 0 ? StrCat("any free port of ", p.host) : StrCat(address, " is free")};
  const bool http = p.key == "http";
  return {Severity::kError, p.key,
          StrCat("listening on ", address, ": ", p.problem,
                 p.holder.empty() ? std::string() : StrCat(", held by ", p.holder), "; choose another with ",
                 http ? "--port" : "--set grpc.port=…", ", 0 = any free one")};
}

void Append(std::string& list, const std::string& item) { list += StrCat(list.empty() ? "" : ", ", item); }

// Values of a pool that starts no worker, where somebody has set them: otherwise they would be lost in silence.
void UnusedPools(const ClusterConfig& config, std::vector<Finding>& out) {
  const ClusterConfig defaults;
  for (const auto& [name, pool] : {std::pair("prefill", &config.prefill), std::pair("decode", &config.decode),
                                   std::pair("mixed", &config.mixed)}) {
    if (pool->replicas > 0) continue;
    const std::string section = StrCat("pools.", name, "."), replicas = section + "replicas";
    std::string keys;
    for (const Key& k : Schema())
      if (k.path.starts_with(section) && k.path != replicas && config.given.contains(k.path) &&
          k.get(config) != k.get(defaults))
        Append(keys, k.path);
    if (keys.empty()) continue;
    const char* are = keys.find(',') == std::string::npos ? " is" : " are";
    out.push_back({Severity::kWarning, "pools", StrCat(keys, are, " set but ", replicas, " is 0: nothing runs there")});
  }
}

// `workers`: those of this GPU, one or more.
Finding Gpu(const HostGpu& gpu, const std::vector<PlannedWorker>& workers, const ModelFacts& model) {
  const std::string subject = StrCat("gpu cuda:", gpu.index);
  uint64_t kv = 0;
  std::string ids;
  std::vector<std::string> automatic;  // keys that would have to be set
  for (const PlannedWorker& w : workers) {
    Append(ids, w.id);
    const std::string key = StrCat("pools.", w.role, ".kv_memory");
    if (w.pool->kv_memory == 0 && (automatic.empty() || automatic.back() != key)) automatic.push_back(key);
    kv += w.pool->kv_memory > 0 ? w.pool->kv_memory : 2 * model.kv_block_bytes;
  }
  if (workers.size() > 1 && !automatic.empty()) {
    std::string keys;
    for (const std::string& key : automatic) Append(keys, key);
    return {Severity::kError, subject,
            StrCat(ids, " share ", gpu.name, ", and a worker without kv_memory takes nine tenths of what is free; set ",
                   keys, ", such as 4GiB, or start fewer workers with device: cuda")};
  }
  const uint64_t weights = workers.size() * model.gpu_weight_bytes, contexts = workers.size() * gpu.context_bytes,
                 workspaces = workers.size() * model.gpu_workspace_bytes, needed = weights + workspaces + contexts + kv;
  const std::string sum =
      StrCat(gpu.name, " for ", ids, ": weights ", Mebibytes(weights), " + workspace ", Mebibytes(workspaces),
             " + contexts ", Mebibytes(contexts), " + KV ", automatic.empty() ? "" : "at least ", Mebibytes(kv), " = ",
             Mebibytes(needed), "; ", Mebibytes(gpu.free_bytes), " are free");
  if (needed <= gpu.free_bytes) return {Severity::kOk, subject, sum};
  return {Severity::kError, subject,
          sum + "; lower pools.*.kv_memory or pools.*.replicas, take a smaller model, or use device: cpu"};
}

void Gpus(const ClusterConfig& config, const Facts& facts, std::vector<Finding>& out) {
  const HostGpus& host = facts.gpus;
  if (!host.status.ok()) out.push_back({Severity::kError, "gpu", std::string(host.status.message())});
  for (const std::string& sentence : host.unusable) out.push_back({Severity::kWarning, "gpu", sentence});
  const std::vector<PlannedWorker> workers = PlanWorkers(config, host.usable.size());
  for (size_t i = 0; i < host.usable.size(); ++i) {
    std::vector<PlannedWorker> of;
    std::copy_if(workers.begin(), workers.end(), std::back_inserter(of),
                 [&](const PlannedWorker& w) { return w.gpu == static_cast<int>(i); });
    if (!of.empty()) out.push_back(Gpu(host.usable[i], of, facts.model));
  }
}

Finding Plain(const std::string& subject, const std::string& problem, const std::string& fine) {
  return problem.empty() ? Finding{Severity::kOk, subject, fine} : Finding{Severity::kError, subject, problem};
}

Finding OpenFiles(const ClusterConfig& config, const MachineFacts& m) {
  const uint64_t wanted = static_cast<uint64_t>(config.router_queue_max) + kSpareFiles;
  if (m.open_files_max >= wanted) return {Severity::kOk, "open files", StrCat("limit ", m.open_files_max)};
  return {Severity::kWarning, "open files",
          StrCat("the limit of ", m.open_files_max, " is less than router.queue_max ", config.router_queue_max, " + ",
                 kSpareFiles, ": connections may be refused first; raise it with `ulimit -n`")};
}

}  // namespace

std::vector<Finding> Examine(const ClusterConfig& config, const Facts& facts) {
  std::vector<Finding> out = {Model(config, facts.model), Memory(config, facts), Context(config, facts)};
  for (const PortFacts& p : facts.ports) out.push_back(Port(p));
  out.push_back(Plain("kernels", facts.machine.kernels_problem, facts.machine.kernels));
  out.push_back(Plain("shared memory", facts.machine.shared_memory_problem, "memfd works"));
  out.push_back(Plain("run folder", facts.machine.run_folder_problem, "can be written"));
  UnusedPools(config, out);
  if (WantsGpu(config)) Gpus(config, facts, out);
  if (!config.step_log.empty()) out.push_back(Plain("step log", facts.machine.step_log_problem, "can be written"));
  out.push_back(OpenFiles(config, facts.machine));
  return out;
}

Status Errors(const std::vector<Finding>& findings) {
  std::string all;
  for (const Finding& f : findings)
    if (f.severity == Severity::kError) all += StrCat(all.empty() ? "" : "\ntokenworks: ", f.subject, ": ", f.sentence);
  return all.empty() ? OkStatus() : absl::InvalidArgumentError(all);
}

}  // namespace tokenworks::launch
