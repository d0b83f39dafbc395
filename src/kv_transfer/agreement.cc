// SPDX-License-Identifier: Apache-2.0
#include "kv_transfer/agreement.h"

#include "platform/base/str_cat.h"

namespace tokenworks::kv_transfer {

Status CheckAgreement(const PeerHello& own, const PeerHello& theirs) {
  const auto differs = [&](const char* field, const auto& ours, const auto& other) {
    return absl::FailedPreconditionError(base::StrCat("hand-off from ", theirs.worker, " to ", own.worker,
                                                      " refused: the ", field, " differs (", other, " there, ", ours,
                                                      " here); start both from one model file and one build"));
  };
  if (theirs.protocol_max < own.protocol_min || theirs.protocol_min > own.protocol_max)
    return differs("protocol range", own.protocol_max, theirs.protocol_max);
  if (theirs.receiver != own.incarnation) return differs("incarnation", own.incarnation, theirs.receiver);
  if (theirs.weight_digest != own.weight_digest)
    return differs("weight digest", own.weight_digest, theirs.weight_digest);
  if (theirs.numerics_id != own.numerics_id) return differs("numerics id", own.numerics_id, theirs.numerics_id);
  if (theirs.layout != own.layout)
    return differs("KV layout", base::StrCat(own.layout.block_bytes, " bytes a block"),
                   base::StrCat(theirs.layout.block_bytes, " bytes a block"));
  return OkStatus();
}

}  // namespace tokenworks::kv_transfer
