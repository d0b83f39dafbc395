// SPDX-License-Identifier: Apache-2.0
#include "router/policy/placement_policy.h"

#include <algorithm>
#include <random>

#include "platform/base/str_cat.h"

namespace tokenworks::router {
namespace {

// Ties go to the lower worker id.
class LeastLoaded final : public PlacementPolicy {
 public:
  Placement Place(const PlacementQuery& query) override { return {Least(query.prefill), Least(query.decode)}; }

 private:
  static size_t Least(std::span<const Candidate> candidates) {
    const auto less = [](const Candidate& a, const Candidate& b) { return a.load_tokens < b.load_tokens; };
    return static_cast<size_t>(std::min_element(candidates.begin(), candidates.end(), less) - candidates.begin());
  }
};

// Each pool in turn.
class RoundRobin final : public PlacementPolicy {
 public:
  Placement Place(const PlacementQuery& query) override {
    const size_t turn = turn_++;
    return {turn % query.prefill.size(), query.decode.empty() ? 0 : turn % query.decode.size()};
  }

 private:
  size_t turn_ = 0;
};

class Random final : public PlacementPolicy {
 public:
  explicit Random(uint64_t seed) : noise_(seed) {}
  Placement Place(const PlacementQuery& query) override {
    return {noise_() % query.prefill.size(), query.decode.empty() ? 0 : noise_() % query.decode.size()};
  }

 private:
  std::mt19937_64 noise_;
};

}  // namespace

StatusOr<std::unique_ptr<PlacementPolicy>> MakePolicy(std::string_view name, uint64_t seed) {
  if (name == "least_loaded") return std::make_unique<LeastLoaded>();
  if (name == "round_robin") return std::make_unique<RoundRobin>();
  if (name == "random") return std::make_unique<Random>(seed);
  return absl::InvalidArgumentError(
      base::StrCat("router.policy '", std::string(name), "' does not exist; use least_loaded, round_robin or random"));
}

}  // namespace tokenworks::router
