// SPDX-License-Identifier: Apache-2.0
#include "router/cluster_status.h"

#include <nlohmann/json.hpp>

#include "platform/base/str_cat.h"

namespace tokenworks::router {

void LatencyHistogram::Observe(Duration value) {
  const double seconds = Milliseconds(value) * 1e-3;
  size_t i = 0;
  while (i < kBounds.size() && seconds > kBounds[i]) ++i;
  ++counts_[i];
  ++count_;
  sum_ += seconds;
}

namespace {

nlohmann::ordered_json ToJson(const GpuReading& gpu) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  const auto add = [&](const char* name, const auto& value) {
    if (value) out[name] = *value;
  };
  add("utilization", gpu.utilization);
  add("power_watts", gpu.power_watts);
  add("energy_joules", gpu.energy_joules);
  add("memory_used", gpu.memory_used);
  add("memory_total", gpu.memory_total);
  return out;
}

}  // namespace

nlohmann::ordered_json ToJson(const ClusterStatus& s) {
  using Json = nlohmann::ordered_json;
  Json out = {{"model", s.model}, {"http", s.http}, {"grpc", s.grpc}, {"context_length", s.context_length}};
  const RequestBooks& r = s.requests;
  out["requests"] = {{"received", r.received}, {"active", r.active},       {"completed", r.completed},
                     {"failed", r.failed},     {"cancelled", r.cancelled}, {"rejected", r.rejected},
                     {"migrated", r.migrated}};
  out["workers"] = Json::array();
  Json wires = Json::array();
  for (const WorkerStatus& w : s.workers) {
    const KvCounts& kv = w.report.kv;
    out["workers"].push_back({{"id", w.hello.worker},
                              {"pid", w.hello.pid},
                              {"host", w.hello.host},
                              {"role", WorkerRoleName(w.role)},
                              {"state", WorkerStateName(w.state)},
                              {"device", w.hello.device},
                              {"ranks", Json::array()},
                              {"incarnation", base::StrCat(w.hello.incarnation)},
                              {"running", w.report.running},
                              {"waiting", w.report.waiting},
                              {"restarts", w.restarts},
                              {"steps", w.report.steps},
                              {"prompt_tokens_computed", w.report.prompt_tokens_computed},
                              {"prompt_tokens_cached", w.report.prompt_tokens_cached},
                              {"recomputed_tokens", w.report.recomputed_tokens},
                              {"generation_tokens", w.report.generation_tokens},
                              {"preemptions", w.report.preemptions},
                              {"kv",
                               {{"block_tokens", w.hello.kv_layout.block_tokens},
                                {"block_bytes", w.hello.kv_layout.block_bytes},
                                {"total", kv.total},
                                {"free", kv.free},
                                {"cached", kv.cached},
                                {"active", kv.active},
                                {"reserved", kv.reserved},
                                {"sending", kv.sending},
                                {"receiving", kv.receiving},
                                {"quarantined", kv.quarantined},
                                {"leaked", kv.leaked}}}});
    if (const auto& step = w.report.step)
      out["workers"].back()["step"] = {{"rows", step->rows},
                                       {"choice", RowsChoiceName(step->choice)},
                                       {"predicted_ms", step->predicted_ms},
                                       {"decode_ms", step->decode_ms}};
    if (w.report.gpu) out["workers"].back()["gpu"] = ToJson(*w.report.gpu);
    for (const WireReport& wire : w.report.wires)
      wires.push_back({{"from", w.hello.worker},
                       {"to", wire.to},
                       {"wire", wire.wire},
                       {"gigabytes_per_second", wire.gigabytes_per_second}});
  }
  const HandoffTotals& h = s.handoff;
  out["handoff"] = {{"started", h.started},
                    {"completed", h.completed},
                    {"failed", h.failed},
                    {"recomputed", h.recomputed},
                    {"fallback", h.fallback},
                    {"bytes", h.bytes},
                    {"bytes_resent", h.bytes_resent},
                    {"wires", wires}};
  out["planner"] = {{"mode", "off"}, {"moves", 0}, {"last_move", nullptr}};
  return out;
}

}  // namespace tokenworks::router
