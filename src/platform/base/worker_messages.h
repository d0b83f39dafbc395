// SPDX-License-Identifier: Apache-2.0
// The fields of worker_protocol.h in wire order.
#pragma once

#include "platform/base/archive.h"
#include "tokenworks/worker_protocol.h"

namespace tokenworks {

template <typename A> void Visit(A& a, RequestId& x) { a(x.value); }
template <typename A> void Visit(A& a, SamplingParams& x) {
  a(x.temperature, x.top_k, x.top_p, x.min_p, x.repetition_penalty, x.frequency_penalty, x.presence_penalty, x.logit_bias, x.seed, x.logprobs, x.max_tokens, x.min_tokens,
    x.ignore_eos, x.stop_token_ids);
}
// Deadlines travel as steady-clock nanoseconds: all processes of a host share that clock.
template <typename A> void Visit(A& a, GenerationRequest& x) {
  int64_t deadline = x.deadline.time_since_epoch().count();
  a(x.id, x.epoch, x.external_id, x.model, x.adapter, x.tenant, x.cache_salt, x.session, x.priority, deadline, x.trace_parent, x.prompt, x.n, x.emitted, x.sampling);
  if constexpr (A::kReading) x.deadline = TimePoint(Duration(deadline));
}
template <typename A> void Visit(A& a, TopLogprob& x) { a(x.token, x.logprob); }
template <typename A> void Visit(A& a, SampledToken& x) { a(x.token, x.logprob, x.top); }
template <typename A> void Visit(A& a, TokenDelta& x) { a(x.request, x.epoch, x.sequence, x.position, x.tokens, x.finish); }
template <typename A> void Visit(A& a, KvLayer& x) { a(x.kind, x.planes, x.heads, x.dim, x.dtype, x.offset, x.bytes, x.inner_order); }
template <typename A> void Visit(A& a, KvLayout& x) { a(x.block_tokens, x.block_bytes, x.layers); }
template <typename A> void Visit(A& a, PeerAddress& x) { a(x.worker, x.incarnation, x.socket_path); }
template <typename A> void Visit(A& a, WorkerHello& x) {
  a(x.worker, x.incarnation, x.pid, x.host, x.device, x.model, x.weight_digest, x.numerics_id, x.kv_layout, x.context_length, x.kv_blocks, x.role, x.peer, x.protocol_min, x.protocol_max);
}
template <typename A> void Visit(A& a, Assign& x) { a(x.request, x.route, x.decode); }
template <typename A> void Visit(A& a, Cancel& x) { a(x.request, x.epoch, x.sequence, x.reason); }
template <typename A> void Visit(A& a, SetRole& x) { a(x.role); }
template <typename A> void Visit(A& a, ToWorker& x) {
  uint8_t kind = static_cast<uint8_t>(x.index());
  a(kind);
  if constexpr (A::kReading) {
    if (kind == 0) x = Assign{};
    else if (kind == 1) x = Cancel{};
    else x = SetRole{};
  }
  std::visit([&](auto& message) { a(message); }, x);
}
template <typename A> void Visit(A& a, RequestTimings& x) { a(x.queue_ms, x.prefill_ms, x.handoff_ms, x.decode_ms); }
template <typename A> void Visit(A& a, RequestEnded& x) { a(x.request, x.epoch, x.handed_off, x.status, x.timings, x.cached_tokens); }
template <typename A> void Visit(A& a, KvCounts& x) { a(x.total, x.free, x.cached, x.active, x.reserved, x.sending, x.receiving, x.quarantined, x.leaked); }
template <typename A> void Visit(A& a, WireReport& x) { a(x.to, x.wire, x.gigabytes_per_second); }
template <typename A> void Visit(A& a, WorkerReport& x) {
  a(x.role, x.state, x.running, x.waiting, x.queued_prefill_tokens, x.kv, x.steps, x.prompt_tokens_computed, x.prompt_tokens_cached, x.recomputed_tokens, x.generation_tokens, x.preemptions,
    x.handoffs_started, x.handoffs_completed, x.handoffs_failed, x.handoff_bytes, x.handoff_bytes_resent, x.wires);
}
template <typename A> void Visit(A& a, FromWorker& x) { a(x.hello, x.deltas, x.ended, x.report); }

}  // namespace tokenworks
