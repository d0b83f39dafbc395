// SPDX-License-Identifier: Apache-2.0
#include "router/prometheus_text.h"

#include <optional>
#include <utility>

#include "platform/base/str_cat.h"

namespace tokenworks::router {
namespace {

using base::StrCat;

std::string Head(const char* name, const char* type, const char* help) {
  return StrCat("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

template <typename Value>
void AppendOne(std::string* out, const char* name, const char* type, const char* help, Value value) {
  *out += StrCat(Head(name, type, help), name, " ", value, "\n");
}

void AppendHistogram(std::string* out, const char* name, const char* help, const LatencyHistogram& h) {
  *out += Head(name, "histogram", help);
  uint64_t below = 0;
  for (size_t i = 0; i < LatencyHistogram::kBounds.size(); ++i)
    *out += StrCat(name, "_bucket{le=\"", LatencyHistogram::kBounds[i], "\"} ", below += h.counts()[i], "\n");
  *out += StrCat(name, "_bucket{le=\"+Inf\"} ", h.count(), "\n", name, "_sum ", h.sum_seconds(), "\n", name, "_count ",
                 h.count(), "\n");
}

// A line for each worker of which `value_of` knows a value.
template <typename ValueOf>
void AppendOfWorkers(std::string* out, const ClusterStatus& s, const char* name, const char* type, const char* help,
                     ValueOf value_of) {
  bool first = true;
  for (const WorkerStatus& w : s.workers) {
    const auto value = value_of(w);
    if (!value) continue;
    if (std::exchange(first, false)) *out += Head(name, type, help);
    *out += StrCat(name, "{worker=\"", w.hello.worker, "\"} ", *value, "\n");
  }
}

void AppendTokens(std::string* out, const ClusterStatus& s) {
  const RouterMetrics& m = s.metrics;
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    AppendOne(out, name, "counter", help, value);
  };
  counter("tokenworks_prompt_tokens_total", "Prompt tokens of requests that got a token.", m.prompt_tokens);
  counter("tokenworks_generation_tokens_total", "Generated tokens of requests that ended.", m.generation_tokens);
  counter("tokenworks_prompt_tokens_cached_total", "Prompt tokens found in the prefix cache.", m.prompt_tokens_cached);
  counter("tokenworks_handoff_bytes_total", "KV bytes handed from prefill to decode workers.", s.handoff.bytes);
  counter("vllm:prompt_tokens_total", "The same as tokenworks_prompt_tokens_total.", m.prompt_tokens);
  counter("vllm:generation_tokens_total", "The same as tokenworks_generation_tokens_total.", m.generation_tokens);
}

void AppendRequests(std::string* out, const ClusterStatus& s) {
  *out += Head("tokenworks_requests_total", "counter", "Requests that ended, by outcome.");
  const std::pair<const char*, uint64_t> outcomes[] = {{"completed", s.requests.completed},
                                                       {"failed", s.requests.failed},
                                                       {"cancelled", s.requests.cancelled},
                                                       {"rejected", s.requests.rejected}};
  for (const auto& [outcome, n] : outcomes)
    *out += StrCat("tokenworks_requests_total{outcome=\"", outcome, "\"} ", n, "\n");
  AppendOne(out, "tokenworks_requests_running", "gauge", "Requests that have a first token.", s.metrics.running);
  AppendOne(out, "tokenworks_requests_waiting", "gauge", "Requests without a first token.", s.metrics.waiting);
}

void AppendWorkers(std::string* out, const ClusterStatus& s) {
  AppendOfWorkers(out, s, "tokenworks_worker_restarts_total", "counter", "Times that a worker came back as a new one.",
                  [](const WorkerStatus& w) { return std::optional(w.restarts); });
  if (!s.workers.empty())
    *out += Head("tokenworks_kv_blocks", "gauge", "KV blocks of a worker by state; leaked is 0 unless there is a bug.");
  for (const WorkerStatus& w : s.workers) {
    const KvCounts& kv = w.report.kv;
    const std::pair<const char*, int> states[] = {
        {"free", kv.free},       {"cached", kv.cached},       {"active", kv.active}, {"reserved", kv.reserved},
        {"sending", kv.sending}, {"receiving", kv.receiving}, {"leaked", kv.leaked}};
    for (const auto& [state, n] : states)
      *out += StrCat("tokenworks_kv_blocks{worker=\"", w.hello.worker, "\",state=\"", state, "\"} ", n, "\n");
  }
}

// The step size last chosen beside sequences that decode.
void AppendSteps(std::string* out, const ClusterStatus& s) {
  const auto metric = [&](const char* name, const char* help, auto value_of) {
    AppendOfWorkers(out, s, name, "gauge", help, [&](const WorkerStatus& w) {
      return w.report.step ? std::optional(value_of(*w.report.step)) : std::nullopt;
    });
  };
  metric("tokenworks_step_rows", "Most rows of a step with prompts beside sequences that decode.",
         [](const StepReport& step) { return step.rows; });
  metric("tokenworks_step_predicted_seconds", "What a step of so many rows is predicted to take.",
         [](const StepReport& step) { return step.predicted_ms * 1e-3; });
  metric("tokenworks_step_decode_seconds", "What it is predicted to take without the prompts.",
         [](const StepReport& step) { return step.decode_ms * 1e-3; });
}

// A value that a GPU does not tell has no line.
void AppendGpus(std::string* out, const ClusterStatus& s) {
  const auto metric = [&](const char* name, const char* type, const char* help, auto value_of) {
    AppendOfWorkers(out, s, name, type, help, [&](const WorkerStatus& w) {
      return w.report.gpu ? value_of(*w.report.gpu) : decltype(value_of(*w.report.gpu))();
    });
  };
  metric("tokenworks_gpu_utilization_ratio", "gauge", "Part of the time in which the worker's GPU computed, 0 to 1.",
         [](const GpuReading& g) { return g.utilization; });
  metric("tokenworks_gpu_power_watts", "gauge", "Power that the GPU draws.",
         [](const GpuReading& g) { return g.power_watts; });
  metric("tokenworks_gpu_energy_joules_total", "counter", "Energy that the GPU has used.",
         [](const GpuReading& g) { return g.energy_joules; });
  metric("tokenworks_gpu_memory_used_bytes", "gauge", "Memory in use on the GPU, by all processes.",
         [](const GpuReading& g) { return g.memory_used; });
  metric("tokenworks_gpu_memory_bytes", "gauge", "Memory of the GPU.",
         [](const GpuReading& g) { return g.memory_total; });
}

void AppendLatencies(std::string* out, const RouterMetrics& m) {
  AppendHistogram(out, "tokenworks_time_to_first_token_seconds", "From a request's arrival to its first token.",
                  m.ttft);
  AppendHistogram(out, "tokenworks_inter_token_latency_seconds", "Between two deliveries of tokens of a request.",
                  m.inter_token);
  AppendHistogram(out, "tokenworks_request_queue_seconds",
                  "From a worker's getting a request to its first computed row (timings.queue_ms).", m.queue);
  AppendHistogram(out, "tokenworks_request_duration_seconds", "From a request's arrival to its end.", m.end_to_end);
}

}  // namespace

std::string PrometheusText(const ClusterStatus& s) {
  std::string out;
  AppendTokens(&out, s);
  AppendRequests(&out, s);
  AppendWorkers(&out, s);
  AppendSteps(&out, s);
  AppendGpus(&out, s);
  AppendLatencies(&out, s.metrics);
  return out;
}

}  // namespace tokenworks::router
