// SPDX-License-Identifier: Apache-2.0
#include "launch/workers.h"

#include <algorithm>

#include "platform/base/str_cat.h"

namespace tokenworks::launch {

std::vector<PlannedWorker> PlanWorkers(const ClusterConfig& config, size_t gpus) {
  std::vector<PlannedWorker> out;
  size_t on_gpus = 0;
  for (const auto& [role, pool] :
       {std::pair("prefill", &config.prefill), std::pair("decode", &config.decode), std::pair("mixed", &config.mixed)})
    for (int i = 0; i < pool->replicas; ++i) {
      const bool gpu = pool->device == "cuda";
      const int place = gpu ? static_cast<int>(on_gpus++ % std::max<size_t>(gpus, 1)) : -1;
      out.push_back({base::StrCat(role, "-", i), role, pool, place});
    }
  return out;
}

bool WantsGpu(const ClusterConfig& config) {
  const auto workers = PlanWorkers(config, 0);
  return std::any_of(workers.begin(), workers.end(), [](const PlannedWorker& w) { return w.gpu >= 0; });
}

}  // namespace tokenworks::launch
