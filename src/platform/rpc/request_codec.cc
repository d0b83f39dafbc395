// SPDX-License-Identifier: Apache-2.0
#include "platform/rpc/request_codec.h"

#include <algorithm>

namespace tokenworks::rpc {
namespace {

// Bounds a time left, so that it can be added to any clock.
constexpr int64_t kMaxDeadlineUs = int64_t{365} * 24 * 3600 * 1000000;

void ToWire(const SamplingParams& in, wire::SamplingParams* out) {
  out->set_temperature(in.temperature);
  out->set_top_k(in.top_k);
  out->set_top_p(in.top_p);
  out->set_min_p(in.min_p);
  out->set_repetition_penalty(in.repetition_penalty);
  out->set_frequency_penalty(in.frequency_penalty);
  out->set_presence_penalty(in.presence_penalty);
  for (const auto& [token, bias] : in.logit_bias) {
    wire::LogitBias* b = out->add_logit_bias();
    b->set_token(token);
    b->set_bias(bias);
  }
  out->set_seed(in.seed);
  out->set_logprobs(in.logprobs);
  out->set_max_tokens(in.max_tokens);
  out->set_min_tokens(in.min_tokens);
  out->set_ignore_eos(in.ignore_eos);
  out->mutable_stop_token_ids()->Add(in.stop_token_ids.begin(), in.stop_token_ids.end());
}

SamplingParams FromWire(const wire::SamplingParams& in) {
  SamplingParams out;
  out.temperature = in.temperature();
  out.top_k = in.top_k();
  out.top_p = in.top_p();
  out.min_p = in.min_p();
  out.repetition_penalty = in.repetition_penalty();
  out.frequency_penalty = in.frequency_penalty();
  out.presence_penalty = in.presence_penalty();
  for (const wire::LogitBias& b : in.logit_bias()) out.logit_bias.emplace_back(b.token(), b.bias());
  out.seed = in.seed();
  out.logprobs = in.logprobs();
  out.max_tokens = in.max_tokens();
  out.min_tokens = in.min_tokens();
  out.ignore_eos = in.ignore_eos();
  out.stop_token_ids.assign(in.stop_token_ids().begin(), in.stop_token_ids().end());
  return out;
}

}  // namespace

void ToWire(const GenerationRequest& in, TimePoint now, wire::GenerationRequest* out) {
  out->set_id(in.id.value);
  out->set_epoch(in.epoch);
  out->set_external_id(in.external_id);
  out->set_model(in.model);
  out->set_adapter(in.adapter);
  out->set_tenant(in.tenant);
  out->set_cache_salt(in.cache_salt);
  out->set_session(in.session);
  out->set_priority(in.priority);
  if (in.deadline != TimePoint::max())
    out->set_deadline_left_us(std::chrono::duration_cast<std::chrono::microseconds>(in.deadline - now).count());
  out->set_trace_parent(in.trace_parent);
  out->mutable_prompt()->Add(in.prompt.begin(), in.prompt.end());
  out->set_n(in.n);
  for (const auto& tokens : in.emitted) out->add_emitted()->mutable_tokens()->Add(tokens.begin(), tokens.end());
  ToWire(in.sampling, out->mutable_sampling());
}

Status FromWire(const wire::GenerationRequest& in, TimePoint now, GenerationRequest* out) {
  if (in.prompt().empty() || in.n() == 0 || in.n() > kMaxSequences)
    return absl::InvalidArgumentError(
        "a request of another process has no prompt, or an impossible number of sequences");
  if (!in.emitted().empty() && in.emitted().size() != static_cast<int>(in.n()))
    return absl::InvalidArgumentError(
        "a request of another process names emitted tokens of some of its sequences only");
  GenerationRequest r;
  r.id.value = in.id();
  r.epoch = in.epoch();
  r.external_id = in.external_id();
  r.model = in.model();
  r.adapter = in.adapter();
  r.tenant = in.tenant();
  r.cache_salt = in.cache_salt();
  r.session = in.session();
  r.priority = in.priority();
  if (in.has_deadline_left_us())
    r.deadline =
        now + std::chrono::microseconds(std::clamp<int64_t>(in.deadline_left_us(), -kMaxDeadlineUs, kMaxDeadlineUs));
  r.trace_parent = in.trace_parent();
  r.prompt.assign(in.prompt().begin(), in.prompt().end());
  r.n = in.n();
  for (const wire::TokenList& tokens : in.emitted())
    r.emitted.emplace_back(tokens.tokens().begin(), tokens.tokens().end());
  r.sampling = FromWire(in.sampling());
  *out = std::move(r);
  return OkStatus();
}

void ToWire(const SampledToken& in, wire::SampledToken* out) {
  out->set_token(in.token);
  out->set_logprob(in.logprob);
  for (const TopLogprob& t : in.top) {
    wire::TopLogprob* top = out->add_top();
    top->set_token(t.token);
    top->set_logprob(t.logprob);
  }
}

SampledToken FromWire(const wire::SampledToken& in) {
  SampledToken out{in.token(), in.logprob(), {}};
  for (const wire::TopLogprob& t : in.top()) out.top.push_back({t.token(), t.logprob()});
  return out;
}

void ToWire(const KvLayout& in, wire::KvLayout* out) {
  out->set_block_tokens(in.block_tokens);
  out->set_block_bytes(in.block_bytes);
  for (const KvLayer& l : in.layers) {
    wire::KvLayer* layer = out->add_layers();
    layer->set_kind(static_cast<uint32_t>(l.kind));
    layer->set_planes(l.planes);
    layer->set_heads(l.heads);
    layer->set_dim(l.dim);
    layer->set_dtype(static_cast<uint32_t>(l.dtype));
    layer->set_offset(l.offset);
    layer->set_bytes(l.bytes);
    layer->set_inner_order(l.inner_order);
  }
}

KvLayout FromWire(const wire::KvLayout& in) {
  KvLayout out;
  out.block_tokens = in.block_tokens();
  out.block_bytes = in.block_bytes();
  for (const wire::KvLayer& l : in.layers())
    out.layers.push_back({static_cast<KvLayerKind>(l.kind()), l.planes(), l.heads(), l.dim(),
                          static_cast<KvDtype>(l.dtype()), l.offset(), l.bytes(), l.inner_order()});
  return out;
}

void ToWire(const PeerAddress& in, wire::PeerAddress* out) {
  out->set_worker(in.worker);
  out->set_incarnation(in.incarnation);
  out->set_socket_path(in.socket_path);
}

PeerAddress FromWire(const wire::PeerAddress& in) { return {in.worker(), in.incarnation(), in.socket_path()}; }

void ToWire(const Status& in, wire::WireStatus* out) {
  out->set_code(in.raw_code());
  out->set_message(std::string(in.message()));
}

Status FromWire(const wire::WireStatus& in) { return Status(static_cast<StatusCode>(in.code()), in.message()); }

}  // namespace tokenworks::rpc
