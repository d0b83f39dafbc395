// SPDX-License-Identifier: Apache-2.0
#include "kernels/embedding/embedding.h"

#include "kernels/simt/simt.h"

namespace tokenworks::kernels {
namespace {

// One block a row.
__global__ void GatherKernel(EmbeddingArgs a) {
  simt::WaitForPredecessor();
  simt::AllowSuccessor();
  const int row = blockIdx.x, named = a.tokens[row], token = named < 0 && a.drawn != nullptr ? a.drawn[-1 - named] : named;
  const bool known = token >= 0 && token < a.vocabulary;
  const Bf16* source = a.table + int64_t{known ? token : 0} * a.width;
  Bf16* out = a.out + int64_t{row} * a.width;
  for (int i = threadIdx.x * 8; i < a.width; i += blockDim.x * 8)
    simt::Store16(out + i, known ? simt::Load16(source + i) : Vec16{{0, 0, 0, 0}});
}

}  // namespace

void GatherEmbedding(const LaunchContext& context, const EmbeddingArgs& args) {
  if (args.rows > 0) simt::Launch(context, GatherKernel, {static_cast<unsigned>(args.rows)}, 256, 0, args);
}

}  // namespace tokenworks::kernels
