// SPDX-License-Identifier: Apache-2.0
// The far side of tokenworks/cuda_abi.h: C structs into a CudaExecutor's calls and back. Nothing is thrown across.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>

#include "engine/model/cuda/cuda_executor.h"
#include "engine/model/cuda/library/open_device.h"
#include "tokenworks/cuda_abi.h"

using tokenworks::Status;
using tokenworks::StatusOr;
namespace cuda = tokenworks::model::cuda;

namespace {
std::atomic<int> executors = 0;  // that live in this process
}  // namespace

struct TwExecutor {
  TwExecutor() { ++executors; }
  ~TwExecutor() { --executors; }
  std::unique_ptr<cuda::CudaExecutor> executor;
  std::vector<TwSample> samples;  // of the last collect
};

namespace {

int32_t Tell(const Status& from, TwStatus* to) {
  to->code = static_cast<int32_t>(from.raw_code());
  const size_t n = std::min(from.message().size(), sizeof(to->message) - 1);
  if (n > 0) std::memcpy(to->message, from.message().data(), n);
  to->message[n] = 0;
  return to->code;
}

// An exception here is memory that ran out: a sentence like any other error.
template <class Call>
Status Guarded(const Call& call) {
  try {
    return call();
  } catch (const std::exception& e) {
    return absl::ResourceExhaustedError(std::string("the GPU executor: ") + e.what());
  }
}

tokenworks::SequenceId From(const TwSequence& s) { return {{s.request}, s.index}; }
std::vector<int32_t> From(const TwInts& list) { return {list.data, list.data + list.size}; }
std::vector<tokenworks::SequenceId> From(const TwSequence* list, int32_t size) {
  std::vector<tokenworks::SequenceId> out;
  for (int32_t i = 0; i < size; ++i) out.push_back(From(list[i]));
  return out;
}

tokenworks::SequenceStart From(const TwStart& s) {
  tokenworks::SamplingParams p{.temperature = s.temperature,
                               .top_k = s.top_k,
                               .top_p = s.top_p,
                               .min_p = s.min_p,
                               .repetition_penalty = s.repetition_penalty,
                               .frequency_penalty = s.frequency_penalty,
                               .presence_penalty = s.presence_penalty,
                               .seed = s.seed,
                               .logprobs = s.logprobs,
                               .max_tokens = s.max_tokens,
                               .min_tokens = s.min_tokens,
                               .ignore_eos = s.ignore_eos != 0,
                               .stop_token_ids = From(s.stop_token_ids)};
  for (int32_t i = 0; i < s.logit_bias_size; ++i)
    p.logit_bias.emplace_back(s.logit_bias[i].token, s.logit_bias[i].value);
  return {From(s.sequence), std::move(p), From(s.prompt), From(s.emitted)};
}

tokenworks::StepPlan From(const TwPlan& p) {
  tokenworks::StepPlan plan;
  plan.id = p.id;
  plan.ends = From(p.ends, p.ends_size);
  for (int32_t i = 0; i < p.starts_size; ++i) plan.starts.push_back(From(p.starts[i]));
  for (int32_t i = 0; i < p.copies_size; ++i) plan.copies.push_back({p.copies[i].source, p.copies[i].destination});
  for (int32_t i = 0; i < p.items_size; ++i) {
    const TwItem& item = p.items[i];
    plan.items.push_back({From(item.tokens), item.first_position, From(item.blocks),
                          From(item.samples, item.samples_size), item.is_prefill != 0});
  }
  plan.report_layer_groups = p.report_layer_groups != 0;
  return plan;
}

TwSample To(const tokenworks::StepSample& s) {
  const tokenworks::SampledToken& t = s.tokens[0];
  TwSample out{{s.sequence.request.value, s.sequence.index}, {t.token, t.logprob}, 0, {}};
  for (const tokenworks::TopLogprob& top : t.top) out.top[out.top_size++] = {top.token, top.logprob};
  return out;
}

// Of a field that is all zeros.
template <size_t size>
void Fill(char (&field)[size], const std::string& text) {
  std::strncpy(field, text.c_str(), size - 1);
}

// A process that only asks, like `up`, keeps nothing of the device and nothing on disk.
int32_t Describe(int32_t index, TwDevice* device, TwStatus* status) {
  const Status described = Guarded([&]() -> Status {
    TW_ASSIGN_OR_RETURN(const auto opened, cuda::OpenDevice(index));
    const tokenworks::device::DeviceInfo& info = opened->info();
    *device = {.compute_capability = info.compute_capability,
               .multiprocessors = info.multiprocessors,
               .memory_bytes = info.memory_bytes,
               .free_bytes = info.free_bytes,
               .context_bytes = cuda::ContextBytes(info)};
    Fill(device->name, info.name);
    Fill(device->uuid, info.uuid);
    Fill(device->matrix_library, info.matrix_library);
    Fill(device->matrix_library_problem, std::string(info.matrix_library_status.message()));
    return tokenworks::OkStatus();
  });
  if (executors == 0) cuda::ReleaseDevices();
  return Tell(described, status);
}

int32_t Identify(int32_t index, TwDevice* device, TwStatus* status) {
  return Tell(Guarded([&]() -> Status {
                TW_ASSIGN_OR_RETURN(const tokenworks::device::DeviceInfo info, cuda::IdentifyDevice(index));
                *device = {.compute_capability = info.compute_capability, .multiprocessors = info.multiprocessors};
                Fill(device->name, info.name);
                Fill(device->uuid, info.uuid);
                return tokenworks::OkStatus();
              }),
              status);
}

int32_t Workspace(const TwOptions* o, uint64_t* bytes, TwStatus* status) {
  return Tell(
      Guarded([&]() -> Status {
        TW_ASSIGN_OR_RETURN(const auto file, tokenworks::model_files::GgufFile::Open(o->model_path));
        TW_ASSIGN_OR_RETURN(tokenworks::model::ModelConfig config, tokenworks::model::ReadModelConfig(*file));
        TW_ASSIGN_OR_RETURN(const tokenworks::device::DeviceInfo info, cuda::IdentifyDevice(o->device));
        TW_RETURN_IF_ERROR(cuda::CheckShape(config));
        cuda::LimitContext(config, o->context_length);
        *bytes = cuda::WorkspaceBytes(config, {cuda::RowBucket(o->rows_max), o->samples_max}, info.multiprocessors);
        return tokenworks::OkStatus();
      }),
      status);
}

TwExecutor* Create(const TwOptions* o, TwStatus* status) {
  auto made = std::make_unique<TwExecutor>();
  const Status created = Guarded([&]() -> Status {
    TW_ASSIGN_OR_RETURN(auto device, cuda::OpenDevice(o->device, o->tuning_folder ? o->tuning_folder : ""));
    cuda::CudaExecutorOptions options{.model_path = o->model_path,
                                      .model_name = o->model_name,
                                      .kv_bytes = o->kv_bytes,
                                      .context_length = o->context_length,
                                      .layer_group_layers = o->layer_group_layers,
                                      .limits = {o->rows_max, o->samples_max}};
    TW_ASSIGN_OR_RETURN(made->executor, cuda::CudaExecutor::Create(std::move(options), std::move(device)));
    return tokenworks::OkStatus();
  });
  return Tell(created, status) == 0 ? made.release() : nullptr;
}

void Destroy(TwExecutor* e) { delete e; }

void Info(const TwExecutor* e, TwInfo* out) {
  const tokenworks::ExecutorInfo& info = e->executor->info();
  const tokenworks::KvLayer& layer = info.kv_layout.layers[0];
  *out = {.model_name = info.model_name.c_str(),
          .weight_digest = info.weight_digest.c_str(),
          .numerics_id = info.numerics_id.c_str(),
          .inner_order = layer.inner_order.c_str(),
          .end_tokens = {info.end_tokens.data(), static_cast<int32_t>(info.end_tokens.size())},
          .vocabulary = info.vocabulary,
          .context_length = info.context_length,
          .layers = static_cast<int32_t>(info.kv_layout.layers.size()),
          .kv_heads = layer.heads,
          .head_dim = layer.dim,
          .kv_blocks = info.kv_blocks,
          .layer_group_layers = info.layer_group_layers,
          .depth = info.depth,
          .row_quantum = info.row_quantum};
}

void SetListener(TwExecutor* e, void (*listener)(void*, uint64_t, int32_t), void* context) {
  e->executor->SetLayerGroupListener([=](uint64_t plan, int group) { listener(context, plan, group); });
}

int32_t Submit(TwExecutor* e, const TwPlan* plan, TwStatus* status) {
  return Tell(Guarded([&] { return e->executor->Submit(From(*plan)); }), status);
}

int32_t Collect(TwExecutor* e, TwResult* out, TwStatus* status) {
  return Tell(Guarded([&]() -> Status {
                TW_ASSIGN_OR_RETURN(const tokenworks::StepResult result, e->executor->Collect());
                e->samples.clear();
                for (const tokenworks::StepSample& s : result.samples) e->samples.push_back(To(s));
                *out = {result.plan, std::chrono::nanoseconds(result.duration).count(), e->samples.data(),
                        static_cast<int32_t>(e->samples.size())};
                return tokenworks::OkStatus();
              }),
              status);
}

std::span<const tokenworks::BlockId> BlocksOf(TwInts list) { return {list.data, static_cast<size_t>(list.size)}; }

int32_t CopyBlocksOut(const TwExecutor* e, TwInts blocks, int32_t first_layer, int32_t layers, void* out,
                      uint64_t bytes, TwStatus* status) {
  return Tell(e->executor->CopyBlocksOut(BlocksOf(blocks), first_layer, layers, {static_cast<std::byte*>(out), bytes}),
              status);
}

int32_t CopyBlocksIn(TwExecutor* e, TwInts blocks, int32_t first_layer, int32_t layers, const void* in, uint64_t bytes,
                     TwStatus* status) {
  return Tell(
      e->executor->CopyBlocksIn(BlocksOf(blocks), first_layer, layers, {static_cast<const std::byte*>(in), bytes}),
      status);
}

void Pin(TwExecutor* e, void* memory, uint64_t bytes) { e->executor->Pin({static_cast<std::byte*>(memory), bytes}); }
void Unpin(TwExecutor* e, void* memory, uint64_t bytes) {
  e->executor->Unpin({static_cast<std::byte*>(memory), bytes});
}

constexpr TwCudaApi kApi = {TOKENWORKS_CUDA_ABI, Describe, Identify, Workspace,     Create,       Destroy, Info,
                            SetListener,         Submit,   Collect,  CopyBlocksOut, CopyBlocksIn, Pin,     Unpin};

}  // namespace

extern "C" __attribute__((visibility("default"))) const TwCudaApi* tokenworks_cuda_api() { return &kApi; }
