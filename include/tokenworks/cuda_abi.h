// SPDX-License-Identifier: Apache-2.0
// The C interface of libtokenworks_cuda.so, opened with dlopen: whole steps, never single kernels. One build of the
// core serves hosts with and without a GPU. Fields mean what tokenworks/executor.h says of those of the same name.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Changed with any struct or function below; the loader refuses another number.
#define TOKENWORKS_CUDA_ABI 5
#define TOKENWORKS_CUDA_ENTRY "tokenworks_cuda_api"

typedef struct TwExecutor TwExecutor;

// code: 0, or absl's number of the error. The sentence is cut at the buffer's end.
typedef struct {
  int32_t code;
  char message[1020];
} TwStatus;

typedef struct {
  uint64_t request;
  uint32_t index;
} TwSequence;

typedef struct {
  int32_t token;
  float value;
} TwTokenValue;

typedef struct {
  const int32_t* data;
  int32_t size;
} TwInts;

typedef struct {
  TwSequence sequence;
  float temperature, top_p, min_p, repetition_penalty, frequency_penalty, presence_penalty;
  int32_t top_k, logprobs, max_tokens, min_tokens, ignore_eos;
  uint64_t seed;
  const TwTokenValue* logit_bias;
  int32_t logit_bias_size;
  TwInts stop_token_ids, prompt, emitted;
} TwStart;

typedef struct {
  TwInts tokens, blocks;
  int32_t first_position, is_prefill;
  const TwSequence* samples;
  int32_t samples_size;
} TwItem;

typedef struct {
  int32_t source, destination;
} TwBlockCopy;

typedef struct {
  uint64_t id;
  const TwSequence* ends;
  const TwStart* starts;
  const TwBlockCopy* copies;
  const TwItem* items;
  int32_t ends_size, starts_size, copies_size, items_size, report_layer_groups;
} TwPlan;

typedef struct {
  TwSequence sequence;
  TwTokenValue token;  // with its logprob
  int32_t top_size;
  TwTokenValue top[20];
} TwSample;

typedef struct {
  uint64_t plan;
  int64_t duration_ns;
  const TwSample* samples;  // valid until the next call of collect
  int32_t samples_size;
} TwResult;

typedef struct {
  const char *model_path, *model_name;
  int32_t device, context_length, layer_group_layers, rows_max, samples_max;
  uint64_t kv_bytes;
  const char* tuning_folder;  // where tuned algorithms are kept; null or empty: nowhere
} TwOptions;

// Strings live as long as the executor. Every layer has K and V of kv_heads x head_dim bf16 values.
typedef struct {
  const char *model_name, *weight_digest, *numerics_id, *inner_order;
  TwInts end_tokens;
  int32_t vocabulary, context_length, layers, kv_heads, head_dim, kv_blocks, layer_group_layers, depth, row_quantum;
} TwInfo;

typedef struct {
  char name[96], uuid[48];
  int32_t compute_capability, multiprocessors;
  uint64_t memory_bytes, free_bytes, context_bytes;      // the last: of each process, beside weights and KV
  char matrix_library[64], matrix_library_problem[640];  // what it is, or why it cannot be used; both empty on the host
} TwDevice;

// Threads as tokenworks/executor.h: submit and collect on one, copies and pins on another. Functions that return an int
// return 0, or the error's code with `status` filled.
typedef struct {
  uint32_t abi;
  // What device `index` is, without loading anything.
  int32_t (*describe)(int32_t index, TwDevice* device, TwStatus* status);
  // Its name, uuid, compute_capability and multiprocessors alone, without touching it.
  int32_t (*identify)(int32_t index, TwDevice* device, TwStatus* status);
  // What create takes on the device beside weights, KV and context: reads the head of the model's file alone.
  int32_t (*workspace)(const TwOptions* options, uint64_t* bytes, TwStatus* status);
  // Null with `status` filled.
  TwExecutor* (*create)(const TwOptions* options, TwStatus* status);
  void (*destroy)(TwExecutor* executor);
  void (*info)(const TwExecutor* executor, TwInfo* info);
  void (*set_layer_group_listener)(TwExecutor* executor, void (*listener)(void* context, uint64_t plan, int32_t group),
                                   void* context);
  int32_t (*submit)(TwExecutor* executor, const TwPlan* plan, TwStatus* status);
  int32_t (*collect)(TwExecutor* executor, TwResult* result, TwStatus* status);
  int32_t (*copy_blocks_out)(const TwExecutor* executor, TwInts blocks, int32_t first_layer, int32_t layers, void* out,
                             uint64_t bytes, TwStatus* status);
  int32_t (*copy_blocks_in)(TwExecutor* executor, TwInts blocks, int32_t first_layer, int32_t layers, const void* in,
                            uint64_t bytes, TwStatus* status);
  void (*pin)(TwExecutor* executor, void* memory, uint64_t bytes);
  void (*unpin)(TwExecutor* executor, void* memory, uint64_t bytes);
} TwCudaApi;

// The library's one exported function.
const TwCudaApi* tokenworks_cuda_api(void);

#ifdef __cplusplus
}
#endif
