// SPDX-License-Identifier: Apache-2.0
#include "platform/rpc/worker_codec.h"

#include "platform/rpc/request_codec.h"

namespace tokenworks::rpc {
namespace {

using rpc::FromWire;  // the overloads below would hide those of request_codec.h
using rpc::ToWire;

void ToWire(const WorkerHello& in, worker::Hello* out) {
  out->set_worker(in.worker);
  out->set_incarnation(in.incarnation);
  out->set_pid(in.pid);
  out->set_host(in.host);
  out->set_device(in.device);
  out->set_model(in.model);
  out->set_weight_digest(in.weight_digest);
  out->set_numerics_id(in.numerics_id);
  ToWire(in.kv_layout, out->mutable_kv_layout());
  out->set_context_length(in.context_length);
  out->set_kv_blocks(in.kv_blocks);
  out->set_role(static_cast<uint32_t>(in.role));
  ToWire(in.peer, out->mutable_peer());
  out->mutable_protocol()->set_min(in.protocol_min);
  out->mutable_protocol()->set_max(in.protocol_max);
}

StatusOr<WorkerHello> FromWire(const worker::Hello& in) {
  WorkerHello out;
  out.worker = in.worker();
  out.incarnation = in.incarnation();
  out.pid = in.pid();
  out.host = in.host();
  out.device = in.device();
  out.model = in.model();
  out.weight_digest = in.weight_digest();
  out.numerics_id = in.numerics_id();
  out.kv_layout = FromWire(in.kv_layout());
  out.context_length = in.context_length();
  out.kv_blocks = in.kv_blocks();
  TW_RETURN_IF_ERROR(EnumFromWire(in.role(), WorkerRole::kParked, "role", &out.role));
  out.peer = FromWire(in.peer());
  out.protocol_min = in.protocol().min();
  out.protocol_max = in.protocol().max();
  return out;
}

void ToWire(const TokenDelta& in, worker::TokenDelta* out) {
  out->set_request(in.request.value);
  out->set_epoch(in.epoch);
  out->set_sequence(in.sequence);
  out->set_position(in.position);
  for (const SampledToken& t : in.tokens) ToWire(t, out->add_tokens());
  out->set_finish(static_cast<uint32_t>(in.finish));
}

StatusOr<TokenDelta> FromWire(const worker::TokenDelta& in) {
  TokenDelta out{{in.request()}, in.epoch(), in.sequence(), in.position(), {}, FinishReason::kNone};
  for (const auto& t : in.tokens()) out.tokens.push_back(FromWire(t));
  TW_RETURN_IF_ERROR(EnumFromWire(in.finish(), FinishReason::kError, "finish reason", &out.finish));
  return out;
}

void ToWire(const RequestEnded& in, worker::RequestEnded* out) {
  out->set_request(in.request.value);
  out->set_epoch(in.epoch);
  out->set_handed_off(in.handed_off);
  ToWire(in.status, out->mutable_status());
  out->set_queue_ms(in.timings.queue_ms);
  out->set_prefill_ms(in.timings.prefill_ms);
  out->set_handoff_ms(in.timings.handoff_ms);
  out->set_decode_ms(in.timings.decode_ms);
  out->set_cached_tokens(in.cached_tokens);
}

RequestEnded FromWire(const worker::RequestEnded& in) {
  return {{in.request()},
          in.epoch(),
          in.handed_off(),
          FromWire(in.status()),
          {in.queue_ms(), in.prefill_ms(), in.handoff_ms(), in.decode_ms()},
          in.cached_tokens()};
}

void ToWire(const KvCounts& in, worker::KvCounts* out) {
  out->set_total(in.total);
  out->set_free(in.free);
  out->set_cached(in.cached);
  out->set_active(in.active);
  out->set_reserved(in.reserved);
  out->set_sending(in.sending);
  out->set_receiving(in.receiving);
  out->set_quarantined(in.quarantined);
  out->set_leaked(in.leaked);
}

KvCounts FromWire(const worker::KvCounts& in) {
  return {in.total(),   in.free(),      in.cached(),      in.active(), in.reserved(),
          in.sending(), in.receiving(), in.quarantined(), in.leaked()};
}

void ToWire(const GpuReading& in, worker::GpuReading* out) {
  if (in.utilization) out->set_utilization(*in.utilization);
  if (in.power_watts) out->set_power_watts(*in.power_watts);
  if (in.energy_joules) out->set_energy_joules(*in.energy_joules);
  if (in.memory_used) out->set_memory_used(*in.memory_used);
  if (in.memory_total) out->set_memory_total(*in.memory_total);
}

GpuReading FromWire(const worker::GpuReading& in) {
  GpuReading out;
  if (in.has_utilization()) out.utilization = in.utilization();
  if (in.has_power_watts()) out.power_watts = in.power_watts();
  if (in.has_energy_joules()) out.energy_joules = in.energy_joules();
  if (in.has_memory_used()) out.memory_used = in.memory_used();
  if (in.has_memory_total()) out.memory_total = in.memory_total();
  return out;
}

void ToWire(const StepReport& in, worker::StepReport* out) {
  out->set_rows(in.rows);
  out->set_choice(static_cast<uint32_t>(in.choice));
  out->set_predicted_ms(in.predicted_ms);
  out->set_decode_ms(in.decode_ms);
}

StatusOr<StepReport> FromWire(const worker::StepReport& in) {
  StepReport out{in.rows(), RowsChoice::kDefault, in.predicted_ms(), in.decode_ms()};
  TW_RETURN_IF_ERROR(EnumFromWire(in.choice(), RowsChoice::kTight, "choice of rows", &out.choice));
  return out;
}

void ToWire(const WorkerReport& in, worker::Report* out) {
  out->set_role(static_cast<uint32_t>(in.role));
  out->set_state(static_cast<uint32_t>(in.state));
  out->set_running(in.running);
  out->set_waiting(in.waiting);
  out->set_queued_prefill_tokens(in.queued_prefill_tokens);
  ToWire(in.kv, out->mutable_kv());
  out->set_steps(in.steps);
  out->set_prompt_tokens_computed(in.prompt_tokens_computed);
  out->set_prompt_tokens_cached(in.prompt_tokens_cached);
  out->set_recomputed_tokens(in.recomputed_tokens);
  out->set_generation_tokens(in.generation_tokens);
  out->set_preemptions(in.preemptions);
  out->set_handoffs_started(in.handoffs_started);
  out->set_handoffs_completed(in.handoffs_completed);
  out->set_handoffs_failed(in.handoffs_failed);
  out->set_handoffs_recomputed(in.handoffs_recomputed);
  out->set_handoff_bytes(in.handoff_bytes);
  out->set_handoff_bytes_resent(in.handoff_bytes_resent);
  for (const WireReport& w : in.wires) {
    worker::WireReport* wire = out->add_wires();
    wire->set_to(w.to);
    wire->set_wire(w.wire);
    wire->set_gigabytes_per_second(w.gigabytes_per_second);
  }
  if (in.gpu) ToWire(*in.gpu, out->mutable_gpu());
  if (in.step) ToWire(*in.step, out->mutable_step());
}

StatusOr<WorkerReport> FromWire(const worker::Report& in) {
  WorkerReport out;
  TW_RETURN_IF_ERROR(EnumFromWire(in.role(), WorkerRole::kParked, "role", &out.role));
  TW_RETURN_IF_ERROR(EnumFromWire(in.state(), WorkerState::kLost, "state", &out.state));
  out.running = in.running();
  out.waiting = in.waiting();
  out.queued_prefill_tokens = in.queued_prefill_tokens();
  out.kv = FromWire(in.kv());
  out.steps = in.steps();
  out.prompt_tokens_computed = in.prompt_tokens_computed();
  out.prompt_tokens_cached = in.prompt_tokens_cached();
  out.recomputed_tokens = in.recomputed_tokens();
  out.generation_tokens = in.generation_tokens();
  out.preemptions = in.preemptions();
  out.handoffs_started = in.handoffs_started();
  out.handoffs_completed = in.handoffs_completed();
  out.handoffs_failed = in.handoffs_failed();
  out.handoffs_recomputed = in.handoffs_recomputed();
  out.handoff_bytes = in.handoff_bytes();
  out.handoff_bytes_resent = in.handoff_bytes_resent();
  for (const worker::WireReport& w : in.wires()) out.wires.push_back({w.to(), w.wire(), w.gigabytes_per_second()});
  if (in.has_gpu()) out.gpu = FromWire(in.gpu());
  if (in.has_step()) {
    TW_ASSIGN_OR_RETURN(out.step, FromWire(in.step()));
  }
  return out;
}

}  // namespace

void ToWire(const ToWorker& in, TimePoint now, worker::ToWorker* out) {
  if (const auto* assign = std::get_if<Assign>(&in)) {
    ToWire(assign->request, now, out->mutable_assign()->mutable_request());
    out->mutable_assign()->set_route(static_cast<uint32_t>(assign->route));
    ToWire(assign->decode, out->mutable_assign()->mutable_decode());
  } else if (const auto* cancel = std::get_if<Cancel>(&in)) {
    worker::Cancel* c = out->mutable_cancel();
    c->set_request(cancel->request.value);
    c->set_epoch(cancel->epoch);
    if (cancel->sequence) c->set_sequence(*cancel->sequence);
    c->set_reason(static_cast<uint32_t>(cancel->reason));
  } else {
    out->mutable_set_role()->set_role(static_cast<uint32_t>(std::get<SetRole>(in).role));
  }
}

StatusOr<ToWorker> FromWire(const worker::ToWorker& in, TimePoint now) {
  if (in.has_assign()) {
    Assign assign;
    TW_RETURN_IF_ERROR(FromWire(in.assign().request(), now, &assign.request));
    TW_RETURN_IF_ERROR(EnumFromWire(in.assign().route(), Route::kHandoff, "route", &assign.route));
    assign.decode = FromWire(in.assign().decode());
    return assign;
  }
  if (in.has_cancel()) {
    Cancel cancel{{in.cancel().request()}, in.cancel().epoch(), std::nullopt, CancelReason::kAborted};
    if (in.cancel().has_sequence()) cancel.sequence = in.cancel().sequence();
    TW_RETURN_IF_ERROR(EnumFromWire(in.cancel().reason(), CancelReason::kSuperseded, "cancel reason", &cancel.reason));
    return cancel;
  }
  if (in.has_set_role()) {
    SetRole role;
    TW_RETURN_IF_ERROR(EnumFromWire(in.set_role().role(), WorkerRole::kParked, "role", &role.role));
    return role;
  }
  return absl::InvalidArgumentError("a message of the router has an unknown kind");
}

void AppendToWire(const FromWorker& in, worker::FromWorker* out) {
  if (in.hello) ToWire(*in.hello, out->mutable_hello());
  for (const TokenDelta& d : in.deltas) ToWire(d, out->add_deltas());
  for (const RequestEnded& e : in.ended) ToWire(e, out->add_ended());
  if (in.report) {
    out->clear_report();
    ToWire(*in.report, out->mutable_report());
  }
}

StatusOr<FromWorker> FromWire(const worker::FromWorker& in) {
  FromWorker out;
  if (in.has_hello()) {
    TW_ASSIGN_OR_RETURN(out.hello, FromWire(in.hello()));
  }
  for (const worker::TokenDelta& d : in.deltas()) {
    TW_ASSIGN_OR_RETURN(TokenDelta delta, FromWire(d));
    out.deltas.push_back(std::move(delta));
  }
  for (const worker::RequestEnded& e : in.ended()) out.ended.push_back(FromWire(e));
  if (in.has_report()) {
    TW_ASSIGN_OR_RETURN(out.report, FromWire(in.report()));
  }
  return out;
}

}  // namespace tokenworks::rpc
